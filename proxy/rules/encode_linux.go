package rules

import (
	"encoding/binary"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// encoder writes a table into a batch. Set numbers are given here, not by the library, which keeps count in a variable of
// its own without a lock.
type encoder struct {
	conn  *nftables.Conn
	table *nftables.Table
	sets  map[string]*nftables.Set
	ids   uint32
}

func encode(conn *nftables.Conn, t *table) error {
	e := &encoder{conn: conn, table: &nftables.Table{Name: t.name, Family: nftables.TableFamilyINet}, sets: map[string]*nftables.Set{}}
	conn.CreateTable(e.table)
	for _, s := range t.sets {
		if err := e.namedSet(s); err != nil {
			return err
		}
	}
	// All chains first, for rules jump to them.
	chains := map[string]*nftables.Chain{}
	for _, c := range t.chains {
		nc := &nftables.Chain{Name: c.name, Table: e.table}
		if c.base != nil {
			accept := nftables.ChainPolicyAccept
			nc.Type, nc.Hooknum = nftables.ChainType(c.base.kind), nftables.ChainHookPrerouting
			if c.base.hook == "output" {
				nc.Hooknum = nftables.ChainHookOutput
			}
			nc.Priority, nc.Policy = nftables.ChainPriorityRef(nftables.ChainPriority(c.base.priority)), &accept
		}
		chains[c.name] = conn.AddChain(nc)
	}
	for _, c := range t.chains {
		for i, terms := range c.rules {
			exprs, err := e.rule(terms)
			if err != nil {
				return err
			}
			rule := &nftables.Rule{Table: e.table, Chain: chains[c.name], Exprs: exprs}
			if c.tagged(i) {
				rule.UserData = userdata.AppendString(nil, userdata.TypeComment, tag)
			}
			conn.AddRule(rule)
		}
	}
	return nil
}

func (e *encoder) namedSet(s set) error {
	kinds := map[string]nftables.SetDatatype{"inet_service": nftables.TypeInetService, "ipv4_addr": nftables.TypeIPAddr, "ipv6_addr": nftables.TypeIP6Addr}
	e.ids++
	ns := &nftables.Set{Table: e.table, ID: e.ids, Name: s.name, KeyType: kinds[s.kind], Interval: true}
	var elements []nftables.SetElement
	for _, r := range s.ranges {
		elements = append(elements, nftables.SetElement{Key: r.first})
		if after, ok := next(r.last); ok {
			elements = append(elements, nftables.SetElement{Key: after, IntervalEnd: true})
		}
	}
	e.sets[s.name] = ns
	return e.conn.AddSet(ns, elements)
}

// next is the value after; false where there is none, and a range ends with its kind.
func next(value []byte) ([]byte, bool) {
	after := append([]byte(nil), value...)
	for i := len(after) - 1; i >= 0; i-- {
		after[i]++
		if after[i] != 0 {
			return after, true
		}
	}
	return nil, false
}

// protocols is an anonymous set.
func (e *encoder) protocols(numbers ...byte) (*expr.Lookup, error) {
	e.ids++
	s := &nftables.Set{Table: e.table, ID: e.ids, Name: "__set%d", Anonymous: true, Constant: true, KeyType: nftables.TypeInetProto}
	var elements []nftables.SetElement
	for _, n := range numbers {
		elements = append(elements, nftables.SetElement{Key: []byte{n}})
	}
	return &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}, e.conn.AddSet(s, elements)
}

// rule encodes as nft does: what a match depends on, its protocol, stands before it, once.
func (e *encoder) rule(terms []term) (exprs []expr.Any, err error) {
	tcp := false
	needTCP := func() {
		if !tcp {
			exprs = append(exprs, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal(false, []byte{unix.IPPROTO_TCP}))
			tcp = true
		}
	}
	add := func(more ...expr.Any) { exprs = append(exprs, more...) }
	for _, t := range terms {
		switch t.op {
		case opIIF:
			add(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equal(t.not, interfaceName(t.name)))
		case opOIF:
			add(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equal(t.not, interfaceName(t.name)))
		case opIPv4:
			add(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal(t.not, []byte{unix.NFPROTO_IPV4}))
		case opIPv6:
			add(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal(t.not, []byte{unix.NFPROTO_IPV6}))
		case opTCP:
			needTCP()
		case opDport:
			needTCP()
			add(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, e.lookup(t))
		case opSYN:
			needTCP()
			add(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x17}, Xor: []byte{0}}, // FIN, SYN, RST, ACK
				equal(false, []byte{0x02}))
		case opDaddr4:
			add(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal(false, []byte{unix.NFPROTO_IPV4}),
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, e.lookup(t))
		case opDaddr6:
			add(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal(false, []byte{unix.NFPROTO_IPV6}),
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 24, Len: 16}, e.lookup(t))
		case opLocal:
			add(&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}, equal(t.not, number(unix.RTN_LOCAL)))
		case opTransparent:
			lookup, err := e.protocols(unix.IPPROTO_TCP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6)
			if err != nil {
				return nil, err
			}
			add(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, lookup,
				&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1}, equal(false, []byte{1}))
		case opICMP:
			lookup, err := e.protocols(unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6)
			if err != nil {
				return nil, err
			}
			add(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, lookup)
		case opMark:
			add(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, equal(t.not, number(t.n)))
		case opUser:
			add(&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, equal(t.not, number(t.n)))
		case opCtMark:
			add(&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, equal(t.not, number(t.n)))
		case opCtOriginal:
			add(&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, equal(false, []byte{0})) // IP_CT_DIR_ORIGINAL
		case opCtReply:
			add(&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, equal(false, []byte{1})) // IP_CT_DIR_REPLY
		case opCtRelated:
			add(&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: number(expr.CtStateBitRELATED), Xor: number(0)},
				equal(true, number(0)))
		case opSetMark:
			add(&expr.Immediate{Register: 1, Data: number(t.n)}, &expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1})
		case opSetCtMark:
			add(&expr.Immediate{Register: 1, Data: number(t.n)}, &expr.Ct{Key: expr.CtKeyMARK, SourceRegister: true, Register: 1})
		case opJump:
			add(&expr.Verdict{Kind: expr.VerdictJump, Chain: t.name})
		case opRedirect:
			add(&expr.Immediate{Register: 1, Data: port(t.n)}, &expr.Redir{RegisterProtoMin: 1})
		case opTProxy:
			add(&expr.Immediate{Register: 1, Data: port(t.n)},
				&expr.TProxy{Family: unix.NFPROTO_UNSPEC, TableFamily: unix.NFPROTO_INET, RegPort: 1})
		case opReject:
			add(&expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
		case opAccept:
			add(&expr.Verdict{Kind: expr.VerdictAccept})
		case opReturn:
			add(&expr.Verdict{Kind: expr.VerdictReturn})
		}
	}
	return exprs, nil
}

func (e *encoder) lookup(t term) *expr.Lookup {
	return &expr.Lookup{SourceRegister: 1, SetName: t.name, SetID: e.sets[t.name].ID, Invert: t.not}
}

func equal(not bool, data []byte) *expr.Cmp {
	op := expr.CmpOpEq
	if not {
		op = expr.CmpOpNeq
	}
	return &expr.Cmp{Op: op, Register: 1, Data: data}
}

// interfaceName fills up with zeroes to IFNAMSIZ; a star at the end compares what stands before it alone.
func interfaceName(name string) []byte {
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		return []byte(prefix)
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func number(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }

func port(n uint32) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
