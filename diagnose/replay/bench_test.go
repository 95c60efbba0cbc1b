package replay

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"
)

// BenchmarkTracker reads a capture of 100,000 connections that all live at once, 7 packets each, and tells how much memory one takes.
func BenchmarkTracker(b *testing.B) {
	const connections = 100_000
	le := binary.LittleEndian
	file := bytes.NewBuffer(plainPcap(linkRaw))
	for _, line := range append(handshake[:3:3], "c PA 101 501 500 64", "s A 501 601 1400 57", "c A 601 1901 0 64", "s R 1901 601 0 57") {
		frame := segment(b, line)
		for i := range connections {
			at := 12 // the address of the client: source or destination
			if line[0] == 's' {
				at = 16
			}
			binary.BigEndian.PutUint32(frame[at:], 10<<24|uint32(i))
			record := le.AppendUint32(nil, uint32(start.Unix()))
			record = le.AppendUint32(record, 0)
			record = le.AppendUint32(record, uint32(len(frame)))
			record = le.AppendUint32(record, uint32(len(frame)))
			file.Write(record)
			file.Write(frame)
		}
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(file.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		told := 0
		tracker := NewTracker(func(*Connection) { told++ })
		for {
			frame, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			tracker.Add(&frame)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/connections, "B/connection")
		tracker.Flush()
		if told != connections {
			b.Fatalf("got %d connections, want %d", told, connections)
		}
	}
}
