package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

// Outcome is what the two ends of a connection were like for those who used them.
type Outcome struct {
	Client, Server lab.Outcome
	DialErr        error // of the client; its outcome is empty then
	Served         bool  // a server had a connection, so Server means something
}

// View is what one end saw of the connection's end, in words that are the same whenever the end was.
type View struct {
	Read int64
	End  End
}

// End is how a connection ended for the one who used it. Errors of writing and of reading are one: which of them meets
// the end first is a matter of microseconds.
type End string

const (
	Answered    End = "end of stream"
	Reset       End = "reset"
	Refused     End = "refused"
	Unreachable End = "unreachable"
	Forbidden   End = "forbidden" // EACCES: what IPv6 makes of an administrator's no
	TimedOut    End = "timed out"
	Left        End = "closed by itself"
	Odd         End = "another error"
)

func (v View) String() string {
	switch {
	case v.connecting():
		return string(v.End)
	case v.Read == 0:
		return string(v.End) + ", nothing received"
	}
	return fmt.Sprintf("%s after %s", v.End, bytes(v.Read))
}

func bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// connecting says that the end came before the connection was there.
func (v View) connecting() bool {
	return v.Read == 0 && (v.End == Refused || v.End == Unreachable || v.End == Forbidden || v.End == TimedOut)
}

// Same says that two ends look alike, the first without and the second through a proxy. What differs by design: a proxy
// has taken the client's connection before it knows that there is none to the server, so what fails to connect without
// it is a reset at once through it. And as nobody's kernel but its own can give up on the far side in silence, what times
// out without it is a reset through it, after the same bytes.
func Same(direct, through View) bool {
	if direct.connecting() || direct.End == TimedOut {
		return through == View{Read: direct.Read, End: Reset}
	}
	return direct == through
}

// View is that of the one who did not bring the end about: the client, unless the cause lies on its own side.
func (o Outcome) View(side diagnose.Side) View {
	if side == diagnose.SideDownstream {
		return viewOf(o.Server)
	}
	if o.DialErr != nil {
		return View{End: endOf(o.DialErr)}
	}
	return viewOf(o.Client)
}

func viewOf(o lab.Outcome) View {
	v := View{Read: o.Read, End: Left}
	switch o.End {
	case lab.EndEOF:
		v.End = Answered
	case lab.EndReset, lab.EndFailed:
		v.End = endOf(o.ReadErr)
	case lab.EndStalled:
		v.End = "open"
	}
	if o.WriteErr != nil && v.End != TimedOut {
		v.End = endOf(o.WriteErr)
	}
	return v
}

func endOf(err error) End {
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENOPROTOOPT):
		return Unreachable
	case errors.Is(err, syscall.EACCES):
		return Forbidden
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &late) && late.Timeout():
		return TimedOut
	}
	return Odd
}
