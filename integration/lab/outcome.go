package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// End is how the stream that a peer was reading came to its end.
type End int

const (
	EndOpen    End = iota // it was not read to an end, or this side closed first
	EndEOF                // a FIN: everything the other side wrote has arrived
	EndReset              // ECONNRESET
	EndStalled            // nothing came until the script's limit, or until the peer was stopped
	EndFailed             // another error, to be found in Outcome.ReadErr
)

func (e End) String() string {
	switch e {
	case EndOpen:
		return "open"
	case EndEOF:
		return "eof"
	case EndReset:
		return "reset"
	case EndStalled:
		return "stalled"
	case EndFailed:
		return "failed"
	}
	return fmt.Sprintf("End(%d)", int(e))
}

// Outcome is what one connection was like for the peer that played a script on it.
type Outcome struct {
	Local, Remote netip.AddrPort // zero when the connection is not TCP

	Read    int64 // bytes received, right or wrong
	Written int64 // bytes the kernel took; that they arrived is for the other side to say

	// Damage describes the first received byte that is not the expected one. Nil means that what was read is a correct
	// prefix of what the other side was to send; how long it is says Read.
	Damage error

	End      End
	ReadErr  error // what ended the reading, nil while open and for EOF
	WriteErr error // what ended the writing: EPIPE and ECONNRESET both say that the connection is gone
	Trouble  error // a step other than reading and writing that could not be done
}

// WriteCut reports whether writing failed because the connection was gone. Which of the two errors a writer sees depends
// on whether it comes before or after the one who takes the socket's error; they are one outcome.
func (o Outcome) WriteCut() bool {
	return errors.Is(o.WriteErr, syscall.EPIPE) || errors.Is(o.WriteErr, syscall.ECONNRESET)
}

// String is one line for a log or a test's message.
func (o Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "read %d to %v, wrote %d", o.Read, o.End, o.Written)
	for _, part := range []struct {
		name string
		err  error
	}{{"damage", o.Damage}, {"read", o.ReadErr}, {"write", o.WriteErr}, {"trouble", o.Trouble}} {
		if part.err != nil {
			fmt.Fprintf(&b, "; %s: %v", part.name, part.err)
		}
	}
	return b.String()
}

// ended sorts the error of a read. A read of a socket that this side has closed says nothing about the other side.
func ended(err error) (End, error) {
	switch {
	case err == io.EOF:
		return EndEOF, nil
	case errors.Is(err, net.ErrClosed):
		return EndOpen, nil
	case errors.Is(err, syscall.ECONNRESET):
		return EndReset, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return EndStalled, err
	}
	return EndFailed, err
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
