package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
)

// ringSize is the room for records between two drains, in bytes, a power of two: 10,900 records of 96, with their headers.
const ringSize = 1 << 20

// programs are the raw tracepoints: attached to the kernel, they note resets in a ring that both sides have in memory. Once
// open, no call of theirs needs a privilege. Needs kernel 5.8 (ring buffer) with BTF.
type programs struct {
	closers []io.Closer // the last one opened last
	ring    *ebpf.Map
	lost    *ebpf.Map // one number: the resets for which there was no room
	reader  *ringbuf.Reader
	counter *ebpf.Memory // what is in lost
	told    uint64       // of it, so far
	reasons map[uint32]string
	all     bool // told of resets without a socket, too
	record  ringbuf.Record
}

func openPrograms() (*programs, error) {
	p, err := newPrograms() // the first thing that takes a privilege, and a cheap one to ask
	if err != nil {
		return nil, err
	}
	layout, err := runningLayout()
	if err == nil {
		err = p.start(layout)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// newPrograms makes what the programs and this process share.
func newPrograms() (_ *programs, err error) {
	p := &programs{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	p.ring, err = ebpf.NewMap(&ebpf.MapSpec{Name: "resets", Type: ebpf.RingBuf, MaxEntries: ringSize})
	if err != nil {
		return nil, fmt.Errorf("ring buffer: %w", err)
	}
	p.keep(p.ring)
	p.lost, err = ebpf.NewMap(&ebpf.MapSpec{Name: "resets_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		Flags: bpfMmapable})
	if err != nil {
		return nil, fmt.Errorf("counter: %w", err)
	}
	p.keep(p.lost)
	if p.counter, err = p.lost.Memory(); err != nil {
		return nil, fmt.Errorf("counter: %w", err)
	}
	if p.reader, err = ringbuf.NewReader(p.ring); err != nil {
		return nil, fmt.Errorf("ring buffer: %w", err)
	}
	p.keep(p.reader)
	p.reader.SetDeadline(time.Unix(1, 0)) // Read never waits
	return p, nil
}

// start writes the programs for that layout and attaches them.
func (p *programs) start(layout *layout) error {
	// Both came with 6.10; before, replies without a full socket went untold.
	p.reasons, p.all = layout.reasons, layout.reason >= 0
	for _, at := range []struct {
		tracepoint string
		code       asm.Instructions
	}{
		{"tcp_send_reset", sendReset(layout, p.ring, p.lost)},
		{"tcp_receive_reset", receiveReset(layout, p.ring, p.lost)},
	} {
		if err := p.attach(at.tracepoint, at.code); err != nil {
			return fmt.Errorf("tracepoint %s: %w", at.tracepoint, err)
		}
	}
	return nil
}

const bpfMmapable = 1 << 10 // BPF_F_MMAPABLE

func (p *programs) keep(c io.Closer) { p.closers = append(p.closers, c) }

func (p *programs) attach(tracepoint string, code asm.Instructions) error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: tracepoint, Type: ebpf.RawTracepoint, Instructions: code,
		License: "GPL"}) // bpf_probe_read_kernel is for programs under the GPL
	if err != nil {
		return err
	}
	p.keep(program)
	attached, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: program})
	if err != nil {
		return err
	}
	p.keep(attached)
	return nil
}

func (p *programs) drain(hear func(event)) (lost uint64, err error) {
	for p.reader.AvailableBytes() != 0 {
		switch err := p.reader.ReadInto(&p.record); {
		case errors.Is(err, os.ErrDeadlineExceeded): // all read; what came meanwhile is there
		case err != nil:
			return 0, err
		default:
			hear(decodeRecord(p.record.RawSample, p.reasons))
		}
	}
	var raw [8]byte
	if _, err := p.counter.ReadAt(raw[:], 0); err != nil {
		return 0, err
	}
	counted := binary.NativeEndian.Uint64(raw[:])
	lost, p.told = counted-p.told, counted
	return lost, nil
}

func (p *programs) whole() bool { return p.all }

func (p *programs) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i].Close() // of a file, or of memory: it cannot fail in a way to be mended
	}
	p.closers = nil
}
