package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"whyreset/diagnose/record"
)

// Input is what a file turned out to hold: one of the two.
type Input struct {
	Capture *Reader
	Records *record.Reader
}

// ErrEmpty says that there is not a single byte, so that nothing tells what it was to be.
var ErrEmpty = errors.New("is empty; " + allowed)

const allowed = "allowed are pcap and pcapng captures and whyreset's own records, each plain or within gzip or zstd"

// OtherFormatError says that a file is neither a capture nor text in which records could stand.
type OtherFormatError struct{ Found string }

func (e *OtherFormatError) Error() string { return "is " + e.Found + "; " + allowed }

// Open finds out by the first bytes what r holds, plain or within gzip or zstd. Names and extensions say nothing.
func Open(r io.Reader) (*Input, error) {
	in, err := openSource(r)
	if err != nil {
		return nil, err
	}
	magic, err := in.r.Peek(4)
	if err != nil && err != io.EOF {
		return nil, in.broken("its first bytes: %w", err)
	}
	if len(magic) == 0 {
		return nil, ErrEmpty
	}
	if isCapture(magic) {
		reader, err := newReader(in)
		return &Input{Capture: reader}, err
	}
	first, err := in.r.Peek(firstLook)
	if err != nil && err != io.EOF {
		return nil, in.broken("its first bytes: %w", err)
	}
	if what := notText(first); what != "" {
		return nil, &OtherFormatError{Found: what}
	}
	return &Input{Records: record.NewReader(text{in})}, nil
}

// firstLook is how many bytes tell text from anything else.
const firstLook = 512

func isCapture(magic []byte) bool {
	if len(magic) < 4 {
		return false
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(magic) {
		case sectionHeader, 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34:
			return true
		}
	}
	return false
}

// notText names what the bytes begin, as far as it is something that people take for a capture; empty for text.
func notText(first []byte) string {
	for _, known := range []struct{ magic, name string }{
		{"PK\x03\x04", "a zip archive: unpack it first"},
		{"\xfd7zXZ\x00", "compressed with xz: uncompress it first (xz -dc FILE | whyreset explain -)"},
		{"BZh", "compressed with bzip2: uncompress it first (bzip2 -dc FILE | whyreset explain -)"},
		{"\x04\x22\x4d\x18", "compressed with lz4: uncompress it first (lz4 -dc FILE | whyreset explain -)"},
		{"snoop\x00\x00\x00", "a snoop capture: convert it first (editcap -F pcapng)"},
		{"GMBU", "a Network Monitor capture: convert it first (editcap -F pcapng)"},
		{"RTSS", "a Network Monitor capture: convert it first (editcap -F pcapng)"},
		{"TRSNIFF data", "a Sniffer capture: convert it first (editcap -F pcapng)"},
		{"\x7fELF", "a program"},
		{"%PDF", "a PDF document"},
		{"\x89PNG", "an image"},
		{"\xff\xfe", "text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"},
		{"\xfe\xff", "text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"},
	} {
		if bytes.HasPrefix(first, []byte(known.magic)) {
			return known.name
		}
	}
	if len(first) > 262 && string(first[257:262]) == "ustar" {
		return "a tar archive: unpack it first"
	}
	if bytes.IndexByte(first, 0) >= 0 || !mostlyUTF8(first) {
		return fmt.Sprintf("in a format that is not known here (it begins with % x)", first[:min(len(first), 8)])
	}
	return ""
}

// mostlyUTF8 lets a few strange bytes pass: other programs' lines may stand among the records.
func mostlyUTF8(b []byte) bool {
	strange, all := 0, len(b)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			strange++
		}
		b = b[n:]
	}
	return strange*10 <= all
}
