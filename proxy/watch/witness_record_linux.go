package watch

import (
	"bytes"
	"encoding/binary"
	"time"
	"unsafe"
)

// record is what a program notes of one reset, in this machine's byte order but for the ports. All of it is written: the
// verifier wants the stack that it is made on to be initialised, and it has no padding.
type record struct {
	at       uint64 // ns of CLOCK_MONOTONIC
	from, to [16]byte
	fromPort [2]byte // as in the packet
	toPort   [2]byte
	reason   uint32 // enum sk_rst_reason
	netns    uint32 // inode
	pid      uint32 // thread group
	comm     [16]byte
	owned    uint32 // sk_lock.owned: a process held the socket
	// Sequence numbers of the socket, snd_nxt and rcv_nxt, or in the byte order of the packet that is answered its own
	// and its acknowledgement.
	next, expected uint32
	sent           uint8
	reply          uint8 // answers a packet
	state          uint8 // skc_state
	_              uint8
}

const recordSize = int(unsafe.Sizeof(record{}))

func decodeRecord(raw []byte, reasons map[uint32]string) event {
	var r record
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), recordSize), raw)
	e := event{
		at:   time.Duration(r.at),
		from: end{r.from, binary.BigEndian.Uint16(r.fromPort[:])},
		to:   end{r.to, binary.BigEndian.Uint16(r.toPort[:])},
		sent: r.sent != 0, state: r.state, netns: r.netns,
		sequence: r.sequence(),
	}
	if e.sent {
		e.reason = reasons[r.reason]
	}
	if e.sent && r.reply == 0 && calledFor(r.owned != 0, r.state) {
		name, _, _ := bytes.Cut(r.comm[:], []byte{0})
		e.process, e.pid = string(name), r.pid
	}
	return e
}

// sequence is the number that the reset bears: its receiver accepts no other (RFC 9293 §3.5.3, RFC 5961 §3.2). That is the
// sequence number, or with a SYN that is refused the acknowledgement.
func (r *record) sequence() uint32 {
	switch {
	case r.reply != 0 && r.expected == 0: // nothing is acknowledged, so it is a SYN
		return networkOrder(r.next) + 1
	case r.reply != 0:
		return networkOrder(r.expected)
	case r.sent != 0 || r.state == tcpSynSent:
		return r.next
	}
	return r.expected
}

func networkOrder(n uint32) uint32 {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], n)
	return binary.BigEndian.Uint32(b[:])
}

// States of include/net/tcp_states.h.
const (
	tcpSynSent = 2
	tcpClose   = 7
)

// calledFor says whether a reset that answers no packet was made by a call of the process that runs, such as close, and not
// by a timer in whoever's time it went off. Calls own the socket, timers never do; but for those that a closing listener
// still has in its queue (inet_csk_listen_stop), which tcp_disconnect puts into CLOSE before it resets them.
func calledFor(owned bool, state uint8) bool {
	return owned || state == tcpClose
}
