package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"whyreset/diagnose/record"
)

func TestOpen(t *testing.T) {
	capture := plainPcap(linkRaw, unhex(ipv4RST))
	for name, c := range map[string]struct {
		file []byte
		want string // capture, records, or what is in the error
	}{
		"pcap":                      {capture, "capture"},
		"pcapng":                    {nanosecondCapture(), "capture"},
		"pcap within gzip":          {gzipped(t, capture), "capture"},
		"text":                      {[]byte("hello\n"), "records"},
		"one letter":                {[]byte("x"), "records"},
		"text within gzip":          {gzipped(t, []byte("{}\n")), "records"},
		"text with strange bytes":   {[]byte("caf\xe9 and some more of a line that is text otherwise\n"), "records"},
		"nothing":                   {nil, "is empty; allowed are "},
		"nothing within gzip":       {gzipped(t, nil), "is empty"},
		"zip":                       {[]byte("PK\x03\x04whatever"), "is a zip archive: unpack it first; allowed are pcap and pcapng"},
		"zip within gzip":           {gzipped(t, []byte("PK\x03\x04whatever")), "is a zip archive"},
		"tar":                       {append(bytes.Repeat([]byte("a"), 257), "ustar\x0000 and more"...), "is a tar archive"},
		"UTF-16":                    {[]byte("\xff\xfe{\x00"), "UTF-16"},
		"bytes that nobody knows":   {[]byte{1, 2, 3, 0}, "(it begins with 01 02 03 00)"},
		"a header that was cut":     {capture[:20], "can be read up to byte 0 only"},
		"gzip that was cut":         {gzipped(t, capture)[:5], "gzip: unexpected EOF"},
		"a program":                 {[]byte("\x7fELF\x02\x01\x01\x00"), "is a program"},
		"latin-1 that is no text":   {bytes.Repeat([]byte("\xe9\xff"), 50), "in a format that is not known here"},
		"another format's pcap-ish": {[]byte{0xa1, 0xb2, 0xc3, 0xd5, 0}, "in a format that is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := Open(bytes.NewReader(c.file))
			got := "records"
			switch {
			case err != nil:
				got = err.Error()
			case in.Capture != nil:
				got = "capture"
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func nanosecondCapture() []byte {
	le := binary.LittleEndian
	return join(ngSection(le), ngInterface(le, linkRaw, 9), ngPacket(le, enhancedPacket, 0, 7, 40, unhex(ipv4RST)))
}

// A log that ends within gzip is damaged, and what stood before is read.
func TestOpenCutRecords(t *testing.T) {
	lines := bytes.Repeat([]byte("a line of another program, as any log has some\n"), 20_000)
	file := gzipped(t, lines)
	in, err := Open(bytes.NewReader(file[:len(file)-100]))
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.Records.Next()
	var damaged *FormatError
	if !errors.As(err, &damaged) || damaged.Offset == 0 || damaged.Offset > int64(len(lines)) {
		t.Errorf("got %v, want a *FormatError with the place", err)
	}
	if got := in.Records.Counts().Foreign; got == 0 {
		t.Errorf("got no line before the damage, want many")
	}
}

// FuzzOpen holds that any bytes are a capture, records or an error, and end.
func FuzzOpen(f *testing.F) {
	f.Add(plainPcap(linkRaw, unhex(ipv4RST)))
	f.Add(nanosecondCapture())
	f.Add([]byte("{\"whyreset\":{}}\n"))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, file []byte) {
		in, err := Open(bytes.NewReader(file))
		if err != nil {
			return
		}
		if in.Capture != nil {
			tracker := NewTracker(func(c *Connection) { c.Evidence() })
			for err == nil {
				var frame Frame
				if frame, err = in.Capture.Next(); err == nil {
					tracker.Add(&frame)
				}
			}
			tracker.Flush()
		} else {
			var damage *record.DamageError
			for n := 0; err == nil || errors.As(err, &damage); n++ {
				if n > len(file) {
					t.Fatal("it does not end")
				}
				_, err = in.Records.Next()
			}
		}
		if err != io.EOF && !errors.As(err, new(*FormatError)) {
			t.Errorf("got %v, want io.EOF or a *FormatError", err)
		}
	})
}
