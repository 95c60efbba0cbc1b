package rules

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// table is our nft table, family inet.
type table struct {
	name   string
	sets   []set
	chains []*chain
}

type chain struct {
	name  string
	base  *base // nil: jumped to from others
	rules [][]term
}

// base ties a chain to a place in the packet's way.
type base struct {
	kind     string // filter, nat, route
	hook     string // prerouting, output
	priority int
}

// Priorities (include/uapi/linux/netfilter_ipv4.h). As numbers, for nft 1.0.6 does not take "dstnat" on output.
const (
	priorityMangle = -150
	priorityDNAT   = -100
)

// tag is the comment by which a table is known as ours, whatever became of the state file. It stands at the first rule of
// the chains that Release leaves as they are.
const tag = "whyreset"

func (c *chain) tagged(rule int) bool { return c.base != nil && rule == 0 }

func (c *chain) add(terms ...term) { c.rules = append(c.rules, terms) }

// set is a set of ranges: ports, IPv4 or IPv6 addresses. Ranges are in order and apart from each other.
type set struct {
	name   string
	kind   string // inet_service, ipv4_addr, ipv6_addr
	ranges []valueRange
}

// valueRange is first to last, both included, each in network order. text is what nft calls it.
type valueRange struct {
	first, last []byte
	text        string
}

func portSet(name string, ports []PortRange) set {
	s := set{name: name, kind: "inet_service"}
	for _, r := range mergePorts(ports) {
		text := fmt.Sprint(r.First)
		if r.Last != r.First {
			text = fmt.Sprintf("%d-%d", r.First, r.Last)
		}
		s.ranges = append(s.ranges, valueRange{[]byte{byte(r.First >> 8), byte(r.First)}, []byte{byte(r.Last >> 8), byte(r.Last)}, text})
	}
	return s
}

// mergePorts puts ranges in order and joins those that overlap or touch: the kernel takes no overlap.
func mergePorts(ports []PortRange) []PortRange {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b PortRange) int { return cmp.Compare(a.First, b.First) })
	var merged []PortRange
	for _, r := range sorted {
		if n := len(merged); n > 0 && uint32(r.First) <= uint32(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

func prefixSet(name, kind string, prefixes []netip.Prefix) set {
	s := set{name: name, kind: kind}
	for _, p := range outermost(prefixes) {
		text := p.String()
		if p.IsSingleIP() {
			text = p.Addr().String()
		}
		s.ranges = append(s.ranges, valueRange{p.Addr().AsSlice(), lastAddr(p), text})
	}
	return s
}

// outermost puts prefixes in order and leaves out those that lie in another one.
func outermost(prefixes []netip.Prefix) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range prefixes {
		all = append(all, p.Masked())
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var outer []netip.Prefix
	for _, p := range all {
		if n := len(outer); n == 0 || !outer[n-1].Overlaps(p) {
			outer = append(outer, p)
		}
	}
	return outer
}

func lastAddr(p netip.Prefix) []byte {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return b
}

// split parts prefixes by family; IPv4-mapped ones count as IPv4.
func split(prefixes []netip.Prefix) (v4, v6 []netip.Prefix) {
	for _, p := range prefixes {
		switch {
		case p.Addr().Is4():
			v4 = append(v4, p)
		case p.Addr().Is4In6() && p.Bits() >= 96:
			v4 = append(v4, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96))
		default:
			v6 = append(v6, p)
		}
	}
	return v4, v6
}

// String is the table as nft reads it.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s {\n", t.name)
	for _, s := range t.sets {
		var elements []string
		for _, r := range s.ranges {
			elements = append(elements, r.text)
		}
		fmt.Fprintf(&b, "\tset %s {\n\t\ttype %s\n\t\tflags interval\n\t\telements = { %s }\n\t}\n\n", s.name, s.kind, strings.Join(elements, ", "))
	}
	for i, c := range t.chains {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "\tchain %s {\n", c.name)
		if c.base != nil {
			fmt.Fprintf(&b, "\t\ttype %s hook %s priority %d; policy accept;\n", c.base.kind, c.base.hook, c.base.priority)
		}
		for i, rule := range c.rules {
			var words []string
			for _, term := range rule {
				words = append(words, term.String())
			}
			if c.tagged(i) {
				words = append(words, fmt.Sprintf("comment %q", tag))
			}
			fmt.Fprintf(&b, "\t\t%s\n", strings.Join(words, " "))
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}
