//go:build !linux

package watch

import (
	"syscall"

	"golang.org/x/net/bpf"
)

type ring struct{}

func openRing([]bpf.Instruction, int) (*ring, error) { return nil, syscall.ENOTSUP }

func (*ring) setFilter([]bpf.Instruction) error { return syscall.ENOTSUP }
func (*ring) ignoreOutgoing(bool)               {}
func (*ring) next() frame                       { return frame{} }
func (*ring) release()                          {}
func (*ring) lost() uint64                      { return 0 }
func (*ring) wait() error                       { return syscall.ENOTSUP }
func (*ring) wake()                             {}
func (*ring) close()                            {}
