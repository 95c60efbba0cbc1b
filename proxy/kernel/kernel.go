// Package kernel is the one door of the serving path to the Linux kernel: sockets, epoll, splice and
// TCP_INFO as Go values, for the relay and the listeners above it.
//
// Everything here is a thin, allocation-free call; nothing decides anything. Calls that cannot block go
// through RawSyscall, because the relay's loops would otherwise pay the scheduler's hand-off on each of
// them (measured: the largest single gain of the loop). For the same reason no call here may be given a
// blocking descriptor.
//
// It is not a general socket library, and it resolves no names. On systems other than Linux every call
// answers ENOTSUP, so that the packages above still build and can be vetted there.
package kernel

import (
	"net/netip"
	"syscall"
)

// Errno is the kernel's answer; zero means success.
type Errno = syscall.Errno

// Backlog is how many connections may wait to be accepted; the kernel cuts it to net.core.somaxconn.
const Backlog = 4096

// TCP states as tcpi_state gives them (include/net/tcp_states.h).
const (
	StateEstablished = 1
	StateSynSent     = 2
	StateFinWait1    = 4
	StateClose       = 7
	StateCloseWait   = 8
)

// TCPInfo is the part of struct tcp_info that explains endings. After a reset the kernel keeps all
// counters until close(2); only State becomes StateClose.
type TCPInfo struct {
	State                                   uint8
	Retransmits, Probes, Backoff            uint8
	RTO, RTT, RTTVar, MinRTT                uint32 // µs; zero before the first sample
	SndMSS                                  uint32 // bytes
	Unacked, Lost, TotalRetrans             uint32 // segments
	LastDataSent, LastDataRecv, LastAckRecv uint32 // ms ago; keep ageing after the end
	SndWnd                                  uint32 // the peer's last advertised window in bytes, scaled; kernel 5.4
	NotSent                                 uint32 // bytes queued and never sent
	BytesAcked, BytesReceived               uint64 // BytesAcked counts the SYN as one on the connecting side
	BytesSent, BytesRetrans                 uint64
	SegsIn, SegsOut                         uint32 // SegsIn counts the RST too
}

// ICMPError is one entry of a socket's error queue: who said no, and how (struct sock_extended_err).
type ICMPError struct {
	Errno      Errno
	Type, Code uint8
	IPv6       bool
	Offender   netip.Addr // the router or host that sent the error; invalid when the kernel did not say
}

// Options are the settings of one leg's socket. Zero changes nothing.
type Options struct {
	KeepAlive   int // seconds of silence before the first probe, and between probes
	UserTimeout int // TCP_USER_TIMEOUT in ms
}

// LongestWait bounds how long a thread stays in a system call that nothing may ever end, in ms. A goroutine that enters one
// in the moment in which the world is to be stopped can be overlooked (Go 1.26.8: reentersyscall looks at gcwaiting before
// the goroutine counts as being in a call, and stopTheWorldWithSema looks only once), and then the whole program stands still
// until the call returns or sysmon wakes up, which sleeps for a minute at such times. Measured: 60 s.
const LongestWait = 1000
