package record

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// crockford is the alphabet of a ULID: no I, L, O, U.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewID makes an ID for a connection that started then: a ULID, 48 bits of milliseconds and 80 of chance,
// so that IDs of one host sort by time and those of many hosts do not meet.
func NewID(start time.Time) string { return makeID(start, rand.Uint64(), rand.Uint64()) }

// FixedID is NewID with chance replaced by 80 bits of the key's: the same whenever the same is explained.
func FixedID(start time.Time, key [16]byte) string {
	return makeID(start, binary.BigEndian.Uint64(key[:]), binary.BigEndian.Uint64(key[8:]))
}

func makeID(start time.Time, hi, lo uint64) string {
	var id [26]byte
	ms := uint64(start.UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := range 8 {
		id[10+i] = crockford[hi&31]
		id[18+i] = crockford[lo&31]
		hi >>= 5
		lo >>= 5
	}
	return string(id[:])
}
