package lab

import "encoding/binary"

// Pattern is an endless stream of bytes that look random and are known from the seed, its value, and the offset alone.
// A receiver that knows both can tell of every byte whether it is the one that belongs there; a byte that is lost or
// doubled shifts all that follow and shows as well. The zero Pattern is as good as any.
type Pattern uint64

// word is the n-th eight bytes of the stream: the output function of SplitMix64 (Steele, Lea, Flood, 2014), which needs
// no state.
func (p Pattern) word(n uint64) uint64 {
	z := uint64(p)*0xd1342543de82ef95 + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Fill writes into b the bytes that stand in the stream from offset on.
func (p Pattern) Fill(b []byte, offset int64) {
	n, inWord := uint64(offset)/8, int(offset%8)
	for len(b) > 0 {
		if inWord == 0 && len(b) >= 8 {
			binary.LittleEndian.PutUint64(b, p.word(n))
			b = b[8:]
		} else {
			var whole [8]byte
			binary.LittleEndian.PutUint64(whole[:], p.word(n))
			b = b[copy(b, whole[inWord:]):]
			inWord = 0
		}
		n++
	}
}

// Check compares b with the stream from offset on. It returns the index in b of the first byte that differs, or -1.
func (p Pattern) Check(b []byte, offset int64) int {
	var want [4096]byte
	for at := 0; at < len(b); at += len(want) {
		part := want[:min(len(want), len(b)-at)]
		p.Fill(part, offset+int64(at))
		for i := range part {
			if part[i] != b[at+i] {
				return at + i
			}
		}
	}
	return -1
}
