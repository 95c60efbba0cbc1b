//go:build !linux

package lab

import "net"

func gone(net.Conn) (bool, error) { return false, errNotLinux }
