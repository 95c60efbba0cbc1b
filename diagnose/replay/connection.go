package replay

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
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
	Handshake             bool   // SYN-ACK and the client's answer to it were seen
	FIN                   [2]bool
	Cut                   bool   // the capture does not hold all of every packet
	Reset                 *Reset // nil without one
	ICMP                  []ICMP // errors about its packets, the first few

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

// Reset is the first RST of a connection, and what stood around it: the record's object whyreset.capture.
type Reset struct {
	Resetter   string `json:"resetter"`        // client or server: who sent it, or in whose name it was sent
	Frame      int    `json:"frame"`           // in the file, from 1
	Flags      string `json:"flags"`           // its flags' letters, in the order FSRPAUEC
	FromClient int    `json:"rst_from_client"` // RSTs of the whole connection
	FromServer int    `json:"rst_from_server"`
	Stage      Stage  `json:"stage"`

	// Its TTL minus that of the last packet of its direction before it; nil without one.
	TTLDelta *int `json:"ttl_delta,omitempty"`
	// Its sequence number minus the highest end of a segment of its direction before it, SYN and FIN counting one; nil without one.
	SeqDelta *int32 `json:"seq_delta,omitempty"`
	// Both sides went on: each sent something other than RST after it, and its sender sent data, or a handshake followed.
	Continued bool `json:"continued"`
}

// Stage is how far a connection had got before its first RST.
type Stage string

const (
	Orphan          Stage = "orphan"           // the RST is the first packet
	MidstreamNoData Stage = "midstream-nodata" // the capture began later than the connection: no SYN, no SYN-ACK
	MidstreamData   Stage = "midstream-data"
	MidstreamFIN    Stage = "midstream-fin"
	PostSYN         Stage = "post-syn"
	PostSYNACK      Stage = "post-synack"
	PostHandshake   Stage = "post-handshake"
	PostData        Stage = "post-data"
	PostFIN         Stage = "post-fin"
)
