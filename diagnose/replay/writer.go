package replay

import (
	"bufio"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// Writer writes frames as pcapng, with comments that Wireshark shows beside them.
type Writer struct {
	out        *bufio.Writer
	interfaces map[LinkType]uint32 // one for each link type, described when its first frame comes
	block      []byte
}

// Options of pcapng (draft-ietf-opsawg-pcapng §3.5, §4).
const (
	endOfOptions    = 0
	optionComment   = 1
	optionUserAppl  = 4 // of a section: the program that wrote it
	optionTimestamp = 9 // of an interface: the unit of time
)

// NewWriter begins a capture on w. What is written stays in a buffer until Flush.
func NewWriter(w io.Writer) *Writer {
	o := &Writer{out: bufio.NewWriterSize(w, readSize), interfaces: make(map[LinkType]uint32)}
	o.begin(sectionHeader)
	o.u32(0x1a2b3c4d) // byte-order magic
	o.u32(1)          // version 1.0, the major one first
	o.u32(1<<32 - 1)  // the section's length is not known
	o.u32(1<<32 - 1)
	o.option(optionUserAppl, "whyreset")
	o.u32(endOfOptions)
	o.end() // into the buffer: it cannot fail before Flush
	return o
}

// Write writes a frame. Empty comments are left out.
func (w *Writer) Write(f *Frame, comments ...string) error {
	number, known := w.interfaces[f.Link]
	if !known {
		number = uint32(len(w.interfaces))
		w.interfaces[f.Link] = number
		w.begin(interfaceDescription)
		w.u32(uint32(f.Link))
		w.u32(0) // no limit to the length of a frame
		w.option(optionTimestamp, "\x09")
		w.u32(endOfOptions)
		if err := w.end(); err != nil {
			return err
		}
	}
	var at uint64 // ns since 1970; a frame without a time stays at 0, as Wireshark writes it
	if !f.At.IsZero() {
		at = uint64(max(0, f.At.UnixNano()))
	}
	w.begin(enhancedPacket)
	w.u32(number)
	w.u32(uint32(at >> 32))
	w.u32(uint32(at))
	w.u32(uint32(len(f.Data)))
	w.u32(uint32(f.Wire))
	w.bytes(f.Data)
	options := false
	for _, c := range comments {
		if c != "" {
			w.option(optionComment, c)
			options = true
		}
	}
	if options {
		w.u32(endOfOptions)
	}
	return w.end()
}

// Flush writes out what is in the buffer.
func (w *Writer) Flush() error { return w.out.Flush() }

func (w *Writer) begin(kind uint32) {
	w.block = w.block[:0]
	w.u32(kind)
	w.u32(0) // the length, when it is known
}

func (w *Writer) end() error {
	length := uint32(len(w.block)) + 4
	w.u32(length)
	binary.LittleEndian.PutUint32(w.block[4:], length)
	_, err := w.out.Write(w.block)
	return err
}

func (w *Writer) u32(n uint32) { w.block = binary.LittleEndian.AppendUint32(w.block, n) }

// bytes appends b and pads it to four bytes.
func (w *Writer) bytes(b []byte) {
	w.block = append(w.block, b...)
	for len(w.block)%4 != 0 {
		w.block = append(w.block, 0)
	}
}

func (w *Writer) option(code uint16, value string) {
	const longest = 1<<16 - 1 // what the length field can say
	for end := longest; len(value) > longest; end-- {
		if utf8.RuneStart(value[end]) || end == longest-utf8.UTFMax {
			value = value[:end]
		}
	}
	w.block = binary.LittleEndian.AppendUint16(w.block, code)
	w.block = binary.LittleEndian.AppendUint16(w.block, uint16(len(value)))
	w.bytes([]byte(value))
}
