package proxy

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// nameServer is a DNS server (RFC 1035) that gives the same IPv4 addresses for every name.
type nameServer struct {
	resolver *net.Resolver

	mu        sync.Mutex
	addresses []netip.Addr // none: the name does not exist
	asked     int          // for IPv4 addresses
}

func serveNames(t *testing.T, addresses ...string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &nameServer{resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}}
	s.set(addresses...)
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(s.answer(buf[:n]), from)
		}
	}()
	return s
}

func (s *nameServer) set(addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = nil
	for _, a := range addresses {
		s.addresses = append(s.addresses, netip.MustParseAddr(a))
	}
}

// questions is how often it was asked.
func (s *nameServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *nameServer) answer(query []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	const header, typeA = 12, 1
	end := header
	for query[end] != 0 { // labels, each with its length before it
		end += 1 + int(query[end])
	}
	isA := binary.BigEndian.Uint16(query[end+1:]) == typeA
	end += 1 + 4

	reply := append([]byte{}, query[:end]...)
	flags := uint16(0x8180) // an answer, recursion is available
	if len(s.addresses) == 0 {
		flags |= 3 // no such name
	}
	binary.BigEndian.PutUint16(reply[2:], flags)
	for i := 6; i < header; i += 2 {
		binary.BigEndian.PutUint16(reply[i:], 0) // no records yet, the query's own EDNS left out
	}
	if !isA {
		return reply
	}
	s.asked++
	binary.BigEndian.PutUint16(reply[6:], uint16(len(s.addresses)))
	for _, a := range s.addresses {
		reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // the question's name, class IN, no time to live
		reply = append(reply, a.AsSlice()...)
	}
	return reply
}
