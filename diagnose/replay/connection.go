package replay

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
)

// Side is an end of a connection.
type Side uint8

const (
	Client Side = iota
	Server
)

func (s Side) String() string {
	if s == Server {
		return "server"
	}
	return "client"
}

// Connection is what a capture showed of one connection.
type Connection struct {
	// The client sent the SYN; failing that it received the SYN-ACK; failing that it has the port of the higher class (below 1024, below
	// 32768, the rest); failing that it received the only packet, a reset; failing that it sent the first packet.
	Client, Server netip.AddrPort

	FirstFrame, LastFrame int
	First, Last           time.Time
	Packets               [2]int // by Client, by Server
	Bytes                 [2]int // of payload, those sent again counted again
	ISN                   uint32 // the client's initial sequence number, which with the ends names a connection wherever it is captured
	HasISN                bool   // its SYN or the SYN-ACK was seen
	Handshake             bool   // SYN-ACK and the client's answer to it were seen
	FIN                   [2]bool
	Cut                   bool            // the capture does not hold all of every packet
	Reset                 *record.Capture // its first RST; nil without one
	ICMP                  []ICMP          // errors about its packets, the first few

	notes  *notes // for Evidence
	legs   [2]evidence.Leg
	missed bool // neither SYN nor SYN-ACK was seen
}

// ICMP is an ICMP error about a packet of a connection.
type ICMP struct {
	Frame      int
	At         time.Time
	From       netip.Addr
	About      Side // who sent the packet that it quotes
	Type, Code uint8
	IPv6       bool
	Seq        uint32 // of the segment that it quotes
	MTU        uint32 // of the next hop, when it is about size; else zero
	TTL        uint8  // its own
}

// OneSided says that the capture holds one direction only.
func (c *Connection) OneSided() bool { return c.Packets[Client] == 0 || c.Packets[Server] == 0 }

// Stages: how far a connection had got before its first RST.
const (
	Orphan          = "orphan"           // the RST is the first packet
	MidstreamNoData = "midstream-nodata" // the capture began later than the connection: no SYN, no SYN-ACK
	MidstreamData   = "midstream-data"
	MidstreamFIN    = "midstream-fin"
	PostSYN         = "post-syn"
	PostSYNACK      = "post-synack"
	PostHandshake   = "post-handshake"
	PostData        = "post-data"
	PostFIN         = "post-fin"
)
