package watch

import (
	"encoding/binary"

	"golang.org/x/net/bpf"

	"whyreset/diagnose/header"
)

// How much of a packet is kept: the headers of IPv6 and TCP at their longest, or of an ICMPv6 error and what it quotes.
const snap = 160

// Numbers of linux/if_packet.h, if_ether.h and loopback.c.
const (
	packetOtherHost = 3
	packetOutgoing  = 4
	etherIPv4       = 0x0800
	etherIPv6       = 0x86dd
	loopbackIndex   = 1 // LOOPBACK_IFINDEX, of every network namespace
)

// Scratch memory of the filter.
const (
	srcAddr = iota // the last four bytes
	dstAddr
	srcPort
	dstPort
	flags
)

// sampleOf is how many ordinary packets there are to one that passes when there are too many.
const sampleOf = 16

// filter is the program by which the kernel chooses packets; the socket gives them from the IP header on. It lets pass what has to do
// with an endpoint, and ICMP errors about TCP. It is made of blocks that either decide or fall through to the next.
//
// A packet of the loopback device is seen when it leaves and when it arrives, and one with a VLAN tag at the lower device and, without
// the tag, at the VLAN's own: one of the two is enough. Tag 0 is only a priority, and has no device.
func (w wanted) filter() []bpf.Instruction {
	pass, drop := bpf.RetConstant{Val: snap}, bpf.RetConstant{}
	equal := func(v uint32, skip uint8) bpf.Instruction {
		return bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: skip}
	}
	p := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		equal(packetOtherHost, 1), drop,
		equal(packetOutgoing, 3),
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		equal(loopbackIndex, 1), drop,
		bpf.LoadExtension{Num: bpf.ExtVLANTag},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfff},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, drop,
		bpf.LoadExtension{Num: bpf.ExtProto},
	}
	v4 := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1}, drop, // a later fragment
		bpf.LoadMemShift{Off: 0},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		equal(1, 9),
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 3, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 11, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 12, SkipTrue: 1}, drop,
		bpf.LoadIndirect{Off: 8 + 9, Size: 1}, // of the packet that is quoted
		equal(6, 1), pass, drop,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 1}, drop,
		bpf.LoadIndirect{Off: 0, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: srcPort},
		bpf.LoadIndirect{Off: 2, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: dstPort},
		bpf.LoadAbsolute{Off: 12, Size: 4}, bpf.StoreScratch{Src: bpf.RegA, N: srcAddr},
		bpf.LoadAbsolute{Off: 16, Size: 4}, bpf.StoreScratch{Src: bpf.RegA, N: dstAddr},
		bpf.LoadIndirect{Off: 13, Size: 1}, bpf.StoreScratch{Src: bpf.RegA, N: flags},
	}
	v6 := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 1},
		// Extension headers other than a fragment's are rare: who they concern is looked at later.
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 7},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 43, SkipTrue: 6},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 60, SkipTrue: 5},
		equal(58, 6),
		bpf.LoadAbsolute{Off: 40, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 4, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 48 + 6, Size: 1},
		equal(6, 1), pass, drop,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 1}, drop,
		bpf.LoadAbsolute{Off: 40, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: srcPort},
		bpf.LoadAbsolute{Off: 42, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: dstPort},
		bpf.LoadAbsolute{Off: 20, Size: 4}, bpf.StoreScratch{Src: bpf.RegA, N: srcAddr},
		bpf.LoadAbsolute{Off: 36, Size: 4}, bpf.StoreScratch{Src: bpf.RegA, N: dstAddr},
		bpf.LoadAbsolute{Off: 40 + 13, Size: 1}, bpf.StoreScratch{Src: bpf.RegA, N: flags},
	}
	v4 = append(v4, bpf.Jump{Skip: uint32(3 + len(v6))})
	p = append(p, equal(etherIPv4, uint8(len(v4))))
	p = append(p, v4...)
	p = append(p, equal(etherIPv6, 1), bpf.Jump{Skip: 1}, drop)
	p = append(p, v6...)
	if w.syn {
		p = append(p, bpf.LoadScratch{Dst: bpf.RegA, N: flags},
			bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: uint32(header.SYN), SkipTrue: 1}, pass)
	}
	if w.sample {
		p = append(p, bpf.LoadScratch{Dst: bpf.RegA, N: flags},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: uint32(header.SYN | header.FIN | header.RST), SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtRand},
			bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: sampleOf - 1, SkipTrue: 1}, drop)
	}
	if w.all {
		return append(p, pass)
	}
	for _, side := range [2][2]int{{srcPort, srcAddr}, {dstPort, dstAddr}} {
		p = append(p, bpf.LoadScratch{Dst: bpf.RegA, N: side[0]})
		for _, e := range w.endpoints {
			if !e.addr.IsValid() {
				p = append(p, equal(uint32(e.port), 1), pass)
				continue
			}
			addr := e.addr.As16()
			p = append(p, equal(uint32(e.port), 4),
				bpf.LoadScratch{Dst: bpf.RegA, N: side[1]},
				equal(binary.BigEndian.Uint32(addr[12:]), 1), pass,
				bpf.LoadScratch{Dst: bpf.RegA, N: side[0]})
		}
	}
	return append(p, drop)
}
