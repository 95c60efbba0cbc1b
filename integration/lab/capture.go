package lab

import "time"

// Frame is one that was seen at an interface, with its Ethernet header.
type Frame struct {
	At    time.Time // by the kernel's clock of the day
	Bytes []byte
}
