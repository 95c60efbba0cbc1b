package watch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// layout is what the programs must know of the running kernel: where things lie, asked of its BTF.
type layout struct {
	// Arguments of tcp_send_reset by number; reason is -1 where the kernel has none (before 6.10).
	sk, skb, reason int

	// struct sock, and what lies behind it when it is a full socket.
	family, state, net, localAddr, remoteAddr, localPort, remotePort, localAddr6, remoteAddr6, owned, sndNxt, rcvNxt int16
	// struct sk_buff and the headers in it.
	head, networkHeader, transportHeader, device       int16
	ipSource, ipDestination, ip6Source, ip6Destination int16
	tcpSource, tcpDestination, tcpSeq, tcpAck          int16
	deviceNet, inode                                   int16 // of struct net_device and struct net
	groupLeader, comm, threadGroup                     int16 // of struct task_struct
	reasons                                            map[uint32]string
}

var errNoBTF = errors.New("no BTF")

func runningLayout() (*layout, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoBTF, err)
	}
	l, err := kernelLayout(spec)
	if err != nil {
		return nil, fmt.Errorf("%w of what is needed: %w", errNoBTF, err)
	}
	return l, nil
}

func kernelLayout(spec *btf.Spec) (*layout, error) {
	l := &layout{}
	for _, f := range []struct {
		to         *int16
		name, path string
	}{
		{&l.family, "sock", "__sk_common.skc_family"},
		{&l.state, "sock", "__sk_common.skc_state"},
		{&l.net, "sock", "__sk_common.skc_net.net"},
		{&l.localAddr, "inet_sock", "inet_saddr"},
		{&l.remoteAddr, "sock", "__sk_common.skc_daddr"},
		{&l.localPort, "inet_sock", "inet_sport"}, // skc_num is zero once the socket is unhashed
		{&l.remotePort, "sock", "__sk_common.skc_dport"},
		{&l.localAddr6, "sock", "__sk_common.skc_v6_rcv_saddr"},
		{&l.remoteAddr6, "sock", "__sk_common.skc_v6_daddr"},
		{&l.owned, "sock", "sk_lock.owned"},
		{&l.sndNxt, "tcp_sock", "snd_nxt"},
		{&l.rcvNxt, "tcp_sock", "rcv_nxt"},
		{&l.head, "sk_buff", "head"},
		{&l.networkHeader, "sk_buff", "network_header"},
		{&l.transportHeader, "sk_buff", "transport_header"},
		{&l.device, "sk_buff", "dev"},
		{&l.ipSource, "iphdr", "saddr"},
		{&l.ipDestination, "iphdr", "daddr"},
		{&l.ip6Source, "ipv6hdr", "saddr"},
		{&l.ip6Destination, "ipv6hdr", "daddr"},
		{&l.tcpSource, "tcphdr", "source"},
		{&l.tcpDestination, "tcphdr", "dest"},
		{&l.tcpSeq, "tcphdr", "seq"},
		{&l.tcpAck, "tcphdr", "ack_seq"},
		{&l.deviceNet, "net_device", "nd_net.net"},
		{&l.inode, "net", "ns.inum"},
		{&l.groupLeader, "task_struct", "group_leader"},
		{&l.comm, "task_struct", "comm"},
		{&l.threadGroup, "task_struct", "tgid"},
	} {
		at, err := offset(spec, f.name, f.path)
		if err != nil {
			return nil, err
		}
		*f.to = at
	}
	if err := l.arguments(spec); err != nil {
		return nil, err
	}
	return l, l.names(spec)
}

// offset is where the field at a path of dots lies in a struct, in bytes.
func offset(spec *btf.Spec, name, path string) (int16, error) {
	var s *btf.Struct
	if err := spec.TypeByName(name, &s); err != nil {
		return 0, fmt.Errorf("struct %s: %w", name, err)
	}
	bits, t := btf.Bits(0), btf.Type(s)
	for field := range strings.SplitSeq(path, ".") {
		at, of, ok := member(t, field)
		if !ok {
			return 0, fmt.Errorf("struct %s has no field %s", name, path)
		}
		bits, t = bits+at, of
	}
	if n := int16(bits / 8); bits%8 == 0 && btf.Bits(n)*8 == bits {
		return n, nil
	}
	return 0, fmt.Errorf("field %s of struct %s lies at bit %d", path, name, bits)
}

// member finds a field, also in structs and unions without a name.
func member(t btf.Type, name string) (at btf.Bits, of btf.Type, ok bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m.Offset, m.Type, true
		}
		if m.Name != "" {
			continue
		}
		if at, of, ok := member(m.Type, name); ok {
			return m.Offset + at, of, true
		}
	}
	return 0, nil, false
}

// arguments reads the prototype of tcp_send_reset. The first parameter is the tracing's own.
func (l *layout) arguments(spec *btf.Spec) error {
	var def *btf.Typedef
	if err := spec.TypeByName("btf_trace_tcp_send_reset", &def); err != nil {
		return fmt.Errorf("tracepoint tcp_send_reset: %w", err)
	}
	pointer, ok := def.Type.(*btf.Pointer)
	if !ok {
		return errors.New("tracepoint tcp_send_reset: no function pointer")
	}
	proto, ok := pointer.Target.(*btf.FuncProto)
	if !ok {
		return errors.New("tracepoint tcp_send_reset: no function")
	}
	l.sk, l.skb, l.reason = -1, -1, -1
	for i, p := range proto.Params {
		switch t := btf.UnderlyingType(p.Type).(type) {
		case *btf.Pointer:
			switch s := btf.UnderlyingType(t.Target).(type) {
			case *btf.Struct:
				switch s.Name {
				case "sock":
					l.sk = i - 1
				case "sk_buff":
					l.skb = i - 1
				}
			}
		case *btf.Enum:
			if t.Name == "sk_rst_reason" {
				l.reason = i - 1
			}
		}
	}
	if l.sk < 0 || l.skb < 0 {
		return errors.New("tracepoint tcp_send_reset: not the arguments known")
	}
	return nil
}

// names reads enum sk_rst_reason; a kernel without it gives no reasons.
func (l *layout) names(spec *btf.Spec) error {
	if l.reason < 0 {
		return nil
	}
	var enum *btf.Enum
	if err := spec.TypeByName("sk_rst_reason", &enum); err != nil {
		return fmt.Errorf("enum sk_rst_reason: %w", err)
	}
	l.reasons = map[uint32]string{}
	for _, v := range enum.Values {
		l.reasons[uint32(v.Value)] = reasonTold(strings.TrimPrefix(v.Name, "SK_RST_REASON_"))
	}
	return nil
}
