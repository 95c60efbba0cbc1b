//go:build !linux

package kernel

import (
	"net/netip"
	"syscall"
)

const unsupported = syscall.ENOTSUP

// Poll bits; the values mean nothing here.
const (
	PollIn = 1 << iota
	PollOut
	PollPri
	PollErr
	PollHup
	PollRdHup
	PollEdge
)

type Event struct{}

func (*Event) Mask() uint32  { return 0 }
func (*Event) Token() uint64 { return 0 }

type Poll struct{}

const WakeToken = ^uint64(0)

func NewPoll() (*Poll, error)                  { return nil, unsupported }
func (*Poll) Close()                           {}
func (*Poll) Add(int, uint32, uint64) Errno    { return unsupported }
func (*Poll) Change(int, uint32, uint64) Errno { return unsupported }
func (*Poll) Wake()                            {}
func (*Poll) Woken()                           {}
func (*Poll) Wait([]Event, int) int            { return 0 }

func Listen(netip.AddrPort, bool, Options) (int, error) { return -1, unsupported }
func Configure(int, Options) error                      { return unsupported }
func Accept(int) (int, netip.AddrPort, Errno)           { return -1, netip.AddrPort{}, unsupported }
func Dial(netip.AddrPort, Options) (int, Errno)         { return -1, unsupported }
func EndConnectPhase(int, netip.Addr)                   {}
func NoDelay(int)                                       {}
func LocalAddr(int) netip.AddrPort                      { return netip.AddrPort{} }
func ShutdownWrite(int) Errno                           { return unsupported }
func Close(int)                                         {}
func Abort(int)                                         {}

func Recv(int, []byte) (int, Errno)       { return 0, unsupported }
func Send(int, []byte) (int, Errno)       { return 0, unsupported }
func SendUrgent(int, []byte) (int, Errno) { return 0, unsupported }
func AtUrgentMark(int) bool               { return false }
func Unread(int) int                      { return 0 }
func Unacked(int) int                     { return 0 }

type Pipe struct{ Size int }

func NewPipe(int) (Pipe, error)           { return Pipe{}, unsupported }
func (Pipe) Close()                       {}
func (Pipe) Fill(int, int) (int, Errno)   { return 0, unsupported }
func (Pipe) Drain(int, int) (int, Errno)  { return 0, unsupported }
func Info(int, *TCPInfo) Errno            { return unsupported }
func State(int) uint8                     { return 0 }
func TakeError(int) Errno                 { return unsupported }
func TakeICMP(int) (e ICMPError, ok bool) { return e, false }
