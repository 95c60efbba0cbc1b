package replay

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// Frame is a frame as the capture holds it.
type Frame struct {
	Number int       // from 1, as Wireshark counts
	At     time.Time // zero when the file does not say (simple packet blocks)
	Link   LinkType
	Wire   int    // bytes on the wire; more than len(Data) when the capture cut it
	Data   []byte // good until the next call of Next
}

// Reader reads the frames of one capture.
type Reader struct {
	in     *source
	format interface{ next(*Frame) error }
	frames int
	err    error
}

// ErrNotCapture says that a file is neither pcap nor pcapng.
var ErrNotCapture = errors.New("neither a pcap nor a pcapng capture (nor one of them within gzip or zstd)")

// maxRecord is the longest record taken for real: libpcap writes at most 256 kB, Wireshark 128 MB for USB, and what is longer is a broken
// length that must not become an allocation.
const maxRecord = 16 << 20

// NewReader reads a pcap or pcapng capture from r, plain or within gzip or zstd.
func NewReader(r io.Reader) (*Reader, error) {
	in, err := openSource(r)
	if err != nil {
		return nil, err
	}
	return newReader(in)
}

func newReader(in *source) (*Reader, error) {
	magic, err := in.r.Peek(4)
	if err == io.EOF {
		return nil, ErrNotCapture
	}
	if err != nil {
		return nil, in.broken("the file header: %w", err)
	}
	reader := &Reader{in: in}
	if binary.LittleEndian.Uint32(magic) == sectionHeader {
		reader.format = &pcapng{in: in}
		return reader, nil
	}
	format, err := newPcap(in)
	if err != nil {
		return nil, err
	}
	reader.format = format
	return reader, nil
}

// Next reads the next frame. It reports io.EOF where the capture ends as it should, and a *FormatError where it does not; then, and
// after any other error, it goes on reporting the same.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	frame := Frame{Number: r.frames + 1}
	if r.err = r.format.next(&frame); r.err != nil {
		return Frame{}, r.err
	}
	r.frames++
	return frame, nil
}

// Count is how many frames were read, those before Continue included.
func (r *Reader) Count() int { return r.frames }

// Continue makes the first frame the one behind so many: the capture is a further part of one that was written in parts.
func (r *Reader) Continue(frames int) { r.frames = frames }

// Offset is how many bytes were read, after decompression: for showing progress.
func (r *Reader) Offset() int64 { return r.in.offset }
