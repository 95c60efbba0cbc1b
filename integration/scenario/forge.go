package scenario

import (
	"net/netip"
	"sync/atomic"

	"whyreset/diagnose/header"
	"whyreset/integration/lab"
)

// seen is a TCP segment that came by the forger.
type seen struct {
	ip  header.IP
	tcp header.TCP
}

func (s *seen) end() uint32 { return s.tcp.Seq + uint32(s.tcp.PayloadLength) }

// forger sits on the router and cuts a connection in the name of one of its ends, whose last packet it has kept to copy from.
type forger struct {
	host  *lab.Host
	armed atomic.Bool
	last  [2]*seen // of each direction: towards the server's port, and from there
}

// forge has a forger watch the connections to a port, who, once armed, sends what write returns when the next data comes by: towards
// the server's port if up, else from there. trigger is that segment, name the last one of the end in whose name it is to forge.
func (e *Env) forge(port uint16, up bool, write func(trigger, name *seen) []lab.Segment) (arm func(), err error) {
	f := &forger{host: e.Net.Router}
	stop, err := f.host.Tap("toserver", func(frame []byte) {
		ip, tcp, ok := lab.ReadSegment(frame)
		if !ok || tcp.DstPort != port && tcp.SrcPort != port {
			return
		}
		s := &seen{ip, tcp}
		by := 0
		if s.tcp.SrcPort == port {
			by = 1
		}
		f.last[by] = s
		if (by == 0) == up && s.tcp.PayloadLength > 0 && f.last[1-by] != nil && f.armed.CompareAndSwap(true, false) {
			for _, forged := range write(s, f.last[1-by]) {
				f.host.Send(forged.Bytes()) // if it cannot be sent the connection goes on, and that will show
			}
		}
	})
	if err != nil {
		return nil, err
	}
	e.later(stop)
	return func() { f.armed.Store(true) }, nil
}

// reply is the bare reset with which a host answers a packet of a connection that it does not know, as tcp_v4_send_reset makes it.
func reply(trigger *seen) lab.Segment {
	return lab.Segment{From: netip.AddrPortFrom(trigger.ip.Dst, trigger.tcp.DstPort), To: netip.AddrPortFrom(trigger.ip.Src, trigger.tcp.SrcPort),
		Flags: header.RST, Seq: trigger.tcp.Ack, TTL: 64, DF: true}
}

// abort is the reset with which a live socket ends, as tcp_send_active_reset makes it, but without the marks of a certain stack.
func abort(trigger *seen) lab.Segment {
	s := reply(trigger)
	s.Flags, s.Ack = header.RST|header.ACK, trigger.end()
	return s
}

// disguise gives a segment the marks of the end in whose name it is sent.
func disguise(s lab.Segment, name *seen) lab.Segment {
	s.TTL, s.TOS, s.FlowLabel, s.DF = name.ip.TTL, name.ip.TOS, name.ip.FlowLabel, name.ip.DF
	s.ID, s.Window = uint16(name.ip.ID)+1, name.tcp.Window
	if o := name.tcp.Options; o.HasTimestamps {
		s.Stamped, s.TSVal, s.TSEcr = true, o.TSVal+1, o.TSEcr
	}
	return s
}
