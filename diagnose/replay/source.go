package replay

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// FormatError says where a file stops making sense, or ends in the middle of something. The frames read before it are good.
type FormatError struct {
	Offset int64 // bytes from the start of the file, after decompression
	Err    error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("can be read up to byte %d only: %v", e.Offset, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// source is the capture's bytes, decompressed, with the position in them.
type source struct {
	r      *bufio.Reader
	offset int64 // of the next byte
	block  int64 // of the record or block being read: where errors are reported
	buffer []byte
}

// Captures are read in large pieces; a frame of 64 kB should fit several times.
const readSize = 256 << 10

// openSource looks through gzip and zstd, each told by its first bytes.
func openSource(r io.Reader) (*source, error) {
	b := bufio.NewReaderSize(r, readSize)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, &FormatError{Err: fmt.Errorf("gzip: %w", err)}
		}
		b = bufio.NewReaderSize(z, readSize)
	case string(magic) == "\x28\xb5\x2f\xfd":
		// One decoder in this goroutine, with the largest window that zstd itself takes without being asked (zstd --long needs more).
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, &FormatError{Err: fmt.Errorf("zstd: %w", err)}
		}
		b = bufio.NewReaderSize(z, readSize)
	}
	return &source{r: b}, nil
}

// take gives the next n bytes, good until the next call.
func (s *source) take(n int) ([]byte, error) {
	if cap(s.buffer) < n {
		s.buffer = make([]byte, max(n, 64<<10))
	}
	b := s.buffer[:n]
	got, err := io.ReadFull(s.r, b)
	s.offset += int64(got)
	if err == io.EOF { // nothing at all of it: ReadFull takes that for a proper end
		err = io.ErrUnexpectedEOF
	}
	return b[:got], err
}

// start marks the beginning of a record; io.EOF if there is none.
func (s *source) start() error {
	s.block = s.offset
	_, err := s.r.Peek(1)
	if err != nil && err != io.EOF {
		return s.broken("%w", err)
	}
	return err
}

// broken reports what is wrong with the record that was begun last.
func (s *source) broken(format string, args ...any) error {
	return &FormatError{Offset: s.block, Err: fmt.Errorf(format, args...)}
}
