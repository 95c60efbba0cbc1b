package rules

import "fmt"

// A term is one match or action of a packet rule. It has two forms that must mean the same: the text that nft reads, here,
// and the expressions that the kernel takes, in encode_linux.go. A test compares what comes of them.
type term struct {
	op   op
	name string // of an interface, set or chain
	n    uint32 // a mark, user ID, port
	not  bool
}

type op uint8

const (
	opIIF         op = iota // the packet came in by interface name
	opOIF                   // it goes out by interface name
	opIPv4                  // family
	opIPv6                  //
	opTCP                   // protocol, without which nft does not see that what follows has ports
	opDport                 // TCP destination port in set name
	opSYN                   // first packet of a connection
	opDaddr4                // destination in set name
	opDaddr6                //
	opLocal                 // destination is an address of this host
	opTransparent           // belongs to a transparent socket here, also as the packet an ICMP error is about
	opICMP                  // ICMP of either family
	opMark                  // packet mark is n
	opUser                  // sent by a socket of user n
	opCtMark                // connection mark is n
	opCtOriginal            // in the direction in which the connection was opened
	opCtReply               // in the other
	opCtRelated             // about another connection: an ICMP error
	opSetMark               // actions
	opSetCtMark             //
	opJump                  // to chain name
	opRedirect              // to port n
	opTProxy                // to port n
	opReject                // with a reset
	opAccept                //
	opReturn                //
)

func (t term) String() string {
	is := ""
	if t.not {
		is = "!= "
	}
	switch t.op {
	case opIIF:
		return fmt.Sprintf("iifname %s%q", is, t.name)
	case opOIF:
		return fmt.Sprintf("oifname %s%q", is, t.name)
	case opIPv4:
		return "meta nfproto " + is + "ipv4"
	case opIPv6:
		return "meta nfproto " + is + "ipv6"
	case opTCP:
		return "meta l4proto tcp"
	case opDport:
		return "tcp dport " + is + "@" + t.name
	case opSYN:
		return "tcp flags & (fin | syn | rst | ack) == syn"
	case opDaddr4:
		return "ip daddr " + is + "@" + t.name
	case opDaddr6:
		return "ip6 daddr " + is + "@" + t.name
	case opLocal:
		return "fib daddr type " + is + "local"
	case opTransparent:
		return "meta l4proto { tcp, icmp, ipv6-icmp } socket transparent 1"
	case opICMP:
		return "meta l4proto { icmp, ipv6-icmp }"
	case opMark:
		return fmt.Sprintf("meta mark %s%#x", is, t.n)
	case opUser:
		return fmt.Sprintf("meta skuid %s%d", is, t.n)
	case opCtMark:
		return fmt.Sprintf("ct mark %s%#x", is, t.n)
	case opCtOriginal:
		return "ct direction original"
	case opCtReply:
		return "ct direction reply"
	case opCtRelated:
		return "ct state related"
	case opSetMark:
		return fmt.Sprintf("meta mark set %#x", t.n)
	case opSetCtMark:
		return fmt.Sprintf("ct mark set %#x", t.n)
	case opJump:
		return "jump " + t.name
	case opRedirect:
		return fmt.Sprintf("redirect to :%d", t.n)
	case opTProxy:
		return fmt.Sprintf("tproxy to :%d", t.n)
	case opReject:
		return "reject with tcp reset"
	case opAccept:
		return "accept"
	case opReturn:
		return "return"
	}
	return fmt.Sprintf("op %d", t.op)
}
