package diagnose_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// exchanged is a connection on which a question was answered.
func exchanged(s *story) *story {
	return s.connected(5*ms).sent(10*ms, down, 100).sent(20*ms, up, 2000)
}

func icmp(t, code uint8, from string, v6 bool) evidence.ICMP {
	return evidence.ICMP{Type: t, Code: code, IPv6: v6, From: netip.MustParseAddr(from), Errno: evidence.EHOSTUNREACH}
}

type example struct {
	name       string
	story      func() *story
	cause      string
	confidence cause.Strength
	side       diagnose.Side
	action     diagnose.Action
	impact     diagnose.Impact
	phase      cause.Phase
	alike      []string
	origin     cause.Origin // empty: the cause's usual one
}

// examples are stories as the relay tells them, beside the verdict that they ask for.
var examples = []example{
	{name: "closed port on this host", story: func() *story { return local().fails(1*ms, up, evidence.ECONNREFUSED, 0) },
		cause: "port_closed", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "closed port elsewhere", story: func() *story { return remote().fails(6*ms, up, evidence.ECONNREFUSED, 0) },
		cause: "port_closed", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect, alike: []string{"firewall_reject"}},
	{name: "prohibited by a router", story: func() *story {
		return remote().fails(6*ms, up, evidence.EHOSTUNREACH, 0).add(6*ms, up, icmp(3, 13, "203.0.113.1", false))
	}, cause: "icmp_reject", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "prohibited by the peer's host", story: func() *story {
		return remote().fails(6*ms, up, evidence.ECONNREFUSED, 0).add(6*ms, up, icmp(3, 3, "198.51.100.5", false))
	}, cause: "icmp_reject", confidence: cause.Conclusive, origin: cause.Host, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "prohibited here", story: func() *story {
		return remote().fails(6*ms, up, evidence.EHOSTUNREACH, 0).add(6*ms, up, icmp(3, 13, "192.0.2.1", false))
	}, cause: "local_firewall", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "no route at a router", story: func() *story {
		return remote().fails(6*ms, up, evidence.ENETUNREACH, 0).add(6*ms, up, icmp(3, 0, "203.0.113.1", false))
	}, cause: "unreachable", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Unreachable, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "no route here", story: func() *story { return remote().fails(1*ms, up, evidence.ENETUNREACH, 0) },
		cause: "unreachable", confidence: cause.Likely, origin: cause.Local, side: diagnose.SideUpstream, action: diagnose.Unreachable, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "SYN never answered", story: func() *story {
		return remote().did(10*sec, up, evidence.ConnectTimeout).looks(up, evidence.Snapshot{State: 2, TotalRetrans: 3})
	}, cause: "connect_timeout", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.TimedOut, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "our connect timeout before a second SYN", story: func() *story {
		return remote().did(300*ms, up, evidence.ConnectTimeout).looks(up, evidence.Snapshot{State: 2})
	}, cause: "connect_timeout", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.TimedOut, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "cut at accept", story: func() *story { return local().connected(1*ms).fails(2*ms, up, evidence.ECONNRESET, 0) },
		cause: "abort_at_accept", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.UnknownImpact, phase: cause.NoData},
	{name: "aborted between requests", story: func() *story { return exchanged(remote()).fails(3*sec, up, evidence.ECONNRESET, 0) },
		cause: "app_abort", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase, alike: []string{"app_close_unread"}},
	{name: "aborted with a request outstanding", story: func() *story {
		return exchanged(remote()).sent(100*ms, down, 300).fails(900*ms, up, evidence.ECONNRESET, 0)
	}, cause: "app_abort", confidence: cause.Possible, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding, alike: []string{"app_close_unread"}},
	{name: "aborted at once, the acknowledgement still delayed", story: func() *story {
		return exchanged(local()).sent(100*ms, down, 300).fails(101*ms, up, evidence.ECONNRESET, 300)
	}, cause: "app_abort", confidence: cause.Possible, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding, alike: []string{"app_close_unread"}},
	{name: "closed with a full receive buffer", story: func() *story {
		return local().connected(1*ms).sent(2*ms, down, 4<<20).looks(up, evidence.Snapshot{State: 7, SndWnd: 512}).fails(500*ms, up, evidence.ECONNRESET, 90000)
	}, cause: "app_close_unread", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.UploadCut, phase: cause.Outstanding, alike: []string{"app_abort"}},
	{name: "client aborts while its answer is on its way", story: func() *story {
		return local().connected(1*ms).sent(2*ms, down, 100).sent(5*ms, up, 4<<20).looks(down, evidence.Snapshot{State: 7, SndWnd: 65536, NotSent: 20000}).fails(100*ms, down, evidence.ECONNRESET, 70000)
	}, cause: "app_close_unread", confidence: cause.Likely, side: diagnose.SideDownstream, action: diagnose.Reset, impact: diagnose.AnswerCut, phase: cause.Responding, alike: []string{"app_abort"}},
	{name: "FIN, then reset with all acknowledged", story: func() *story {
		return remote().connected(5*ms).sent(10*ms, down, 5000).sent(40*ms, up, 200).fin(41*ms, up).fails(45*ms, up, evidence.EPIPE, 0)
	}, cause: "app_close_unread", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.HalfClosed, alike: []string{"app_abort"}},
	{name: "request behind the server's FIN", story: func() *story {
		return exchanged(remote()).fin(5*sec, up).sent(5300*ms, down, 300).fails(5306*ms, up, evidence.EPIPE, 300)
	}, cause: "write_after_close", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.HalfClosed},
	{name: "request crosses the server's FIN", story: func() *story {
		return exchanged(remote()).sent(5*sec, down, 300).fin(5002*ms, up).fails(5006*ms, up, evidence.EPIPE, 300)
	}, cause: "write_after_close", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.HalfClosed},
	{name: "server closes instead of answering", story: func() *story {
		return exchanged(local()).sent(100*ms, down, 300).fin(150*ms, up).fin(151*ms, down)
	}, cause: "closed_unanswered", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Closed, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "server closes an idle connection", story: func() *story { return exchanged(local()).fin(5*sec, up).fin(5001*ms, down) },
		cause: "idle_close", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "closed in order", story: func() *story { return exchanged(local()).fin(30*ms, down).fin(31*ms, up) },
		cause: "clean_close", confidence: cause.Conclusive, side: diagnose.SideDownstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.Responding},
	{name: "half-close, then the answer", story: func() *story {
		return local().connected(1*ms).sent(2*ms, down, 100).fin(3*ms, down).sent(9*ms, up, 5000).fin(10*ms, up)
	}, cause: "clean_close", confidence: cause.Conclusive, side: diagnose.SideDownstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.Outstanding},
	{name: "health check", story: func() *story { return local().connected(1*ms).fin(2*ms, down).fin(3*ms, up) },
		cause: "probe", confidence: cause.Conclusive, side: diagnose.SideDownstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.NoData},
	{name: "health check by reset", story: func() *story { return local().connected(1*ms).fails(2*ms, down, evidence.ECONNRESET, 0) },
		cause: "probe", confidence: cause.Conclusive, side: diagnose.SideDownstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.NoData},
	{name: "client leaves while connecting", story: func() *story {
		return remote().fails(300*ms, down, evidence.ECONNRESET, 0).looks(up, evidence.Snapshot{State: 2})
	}, cause: "client_left", confidence: cause.Likely, side: diagnose.SideDownstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.PhaseConnect},
	{name: "state lost after a silence", story: func() *story {
		return exchanged(remote()).sent(400*sec, down, 300).fails(400*sec+6*ms, up, evidence.ECONNRESET, 300)
	}, cause: "stale_connection", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding, alike: []string{"firewall_reject"}},
	{name: "a box nearer than the peer answers", story: func() *story {
		return exchanged(remote()).sent(2*sec, down, 300).fails(2*sec+1*ms, up, evidence.ECONNRESET, 300)
	}, cause: "firewall_reject", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "never acknowledged", story: func() *story {
		return exchanged(remote()).sent(1*sec, down, 300).looks(up, evidence.Snapshot{State: 7, SndWnd: 65536, TotalRetrans: 4, LastAckRecv: 3 * sec}).fails(4*sec, up, evidence.ETIMEDOUT, 300)
	}, cause: "path_silent", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.TimedOut, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "stopped by a rule of this host", story: func() *story {
		return exchanged(remote()).sent(1*sec, down, 300).looks(up, evidence.Snapshot{State: 7, SndWnd: 65536, NotSent: 300}).fails(4*sec, up, evidence.ETIMEDOUT, 300)
	}, cause: "local_firewall", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "reset by a rule of this host", story: func() *story {
		return exchanged(remote()).sent(1*sec, down, 300).looks(up, evidence.Snapshot{State: 7, SndWnd: 65536, NotSent: 300, MinRTT: 5 * ms}).fails(1*sec, up, evidence.ECONNRESET, 300)
	}, cause: "local_firewall", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "window shut until the user timeout", story: func() *story {
		return remote().connected(5*ms).sent(1*sec, down, 4<<20).looks(up, evidence.Snapshot{State: 7, Probes: 3}).fails(4*sec, up, evidence.ETIMEDOUT, 100000)
	}, cause: "peer_not_reading", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.TimedOut, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "keepalive unanswered", story: func() *story { return exchanged(remote()).fails(40*sec, up, evidence.ETIMEDOUT, 0) },
		cause: "keepalive_unanswered", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.TimedOut, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "socket destroyed here", story: func() *story { return exchanged(local()).fails(3*sec, up, evidence.ECONNABORTED, 0) },
		cause: "local_kill", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "our idle timeout", story: func() *story { return exchanged(local()).did(5*sec, evidence.NoLeg, evidence.IdleTimeout) },
		cause: "proxy_idle_timeout", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "our idle timeout, with a part of the answer held", story: func() *story {
		s := exchanged(local()).did(5*sec, evidence.NoLeg, evidence.IdleTimeout)
		s.moved[up].In, s.reset = 9000, true
		return s
	}, cause: "proxy_idle_timeout", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Reset, impact: diagnose.AnswerCut, phase: cause.IdlePhase},
	{name: "stopped", story: func() *story {
		return exchanged(local()).sent(1*sec, down, 10).did(2*sec, evidence.NoLeg, evidence.Shutdown)
	},
		cause: "proxy_shutdown", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "what was dialled came back", story: func() *story { return local().connected(1*ms).did(1*ms, evidence.NoLeg, evidence.Looped) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.UnknownImpact, phase: cause.NoData},
	{name: "loop", story: func() *story { return local().did(0, evidence.NoLeg, evidence.Refused) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "not redirected", story: func() *story { return local().did(0, evidence.NoLeg, evidence.NotRedirected) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "denied", story: func() *story { return local().did(0, evidence.NoLeg, evidence.Denied) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "a guarded destination", story: func() *story { return local().did(0, evidence.NoLeg, evidence.Guarded) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "not permitted to dial as the client", story: func() *story { return local().did(0, evidence.NoLeg, evidence.NotPermitted) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "the client's port is taken", story: func() *story { return local().did(250*ms, evidence.NoLeg, evidence.PortTaken) },
		cause: "proxy_refused", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "the client came back while its last bytes were delivered", story: func() *story {
		return local().connected(1*ms).sent(2*ms, down, 4<<20).sent(5*ms, up, 100).fin(6*ms, up).fin(7*ms, down).did(500*ms, up, evidence.ClientBack)
	}, cause: "proxy_flush_timeout", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.ClosingPhase},
	{name: "the client reset and came back", story: func() *story {
		return exchanged(local()).fails(3*sec, down, evidence.ECONNRESET, 0).did(4*sec, up, evidence.ClientBack)
	}, cause: "app_abort", confidence: cause.Possible, side: diagnose.SideDownstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase,
		alike: []string{"app_close_unread"}},
	{name: "the client came back, and its first end was not seen", story: func() *story { return exchanged(local()).did(4*sec, up, evidence.ClientBack) },
		cause: "proxy_flush_timeout", confidence: cause.Possible, side: diagnose.SideProxy, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "connected from another port than the client's", story: func() *story {
		return exchanged(local()).add(0, up, evidence.OtherPort).fin(30*ms, down).fin(31*ms, up)
	}, cause: "clean_close", confidence: cause.Conclusive, side: diagnose.SideDownstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.Responding},
	{name: "no address", story: func() *story { return local().did(0, evidence.NoLeg, evidence.ResolveFailed) },
		cause: "proxy_resolve_failed", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "limit", story: func() *story { return local().did(0, evidence.NoLeg, evidence.Limit) },
		cause: "proxy_limit", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "no descriptors", story: func() *story { return remote().fails(0, up, evidence.EMFILE, 0) },
		cause: "proxy_limit", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "client does not take the last bytes", story: func() *story {
		return local().connected(1*ms).sent(2*ms, down, 100).sent(5*ms, up, 4<<20).fin(6*ms, up).fin(7*ms, down).did(30*sec, down, evidence.FlushTimeout)
	}, cause: "proxy_flush_timeout", confidence: cause.Conclusive, side: diagnose.SideProxy, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.ClosingPhase},
	{name: "reset behind both FINs", story: func() *story {
		return exchanged(local()).fin(30*ms, down).fin(31*ms, up).fails(32*ms, up, evidence.ECONNRESET, 0)
	}, cause: "late_reset", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.ClosingPhase},
	{name: "both sides in one batch", story: func() *story {
		return exchanged(local()).fails(3*sec, up, evidence.ECONNABORTED, 0).fails(3*sec, down, evidence.ECONNRESET, 0)
	}, cause: "local_kill", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "capture: bursts of tcpkill", story: func() *story {
		return asked().packet(1*sec, down, evidence.PSH|evidence.ACK, 100).packet(1010*ms, up, evidence.RST, 0, bare, forged).
			packet(1010*ms, up, evidence.RST, 0, bare, forged, ahead(502)).packet(1010*ms, up, evidence.RST, 0, bare, forged, ahead(1506))
	}, cause: "injected_reset", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "capture: a reset that nobody took", story: func() *story {
		return asked().packet(1*sec, up, evidence.RST, 0, bare, ahead(10_000_000)).packet(2*sec, down, evidence.PSH|evidence.ACK, 100).
			packet(2020*ms, up, evidence.PSH|evidence.ACK, 100)
	}, cause: "ignored_reset", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.Responding},
	{name: "capture: the port's old connection", story: func() *story {
		return capture().packet(0, down, evidence.SYN, 0).
			packet(20*ms, up, evidence.ACK, 0, func(p *evidence.Packet) { p.Seq, p.Ack = 77, 99 }).
			packet(20*ms, down, evidence.RST, 0, bare, func(p *evidence.Packet) { p.Seq = 99 }).
			packet(1*sec, down, evidence.SYN, 0, func(p *evidence.Packet) { p.Seq-- }).
			packet(1020*ms, up, evidence.SYN|evidence.ACK, 0, func(p *evidence.Packet) { p.Ack = 1001 }).
			packet(1021*ms, down, evidence.ACK, 0, func(p *evidence.Packet) { p.Seq = 1001 })
	}, cause: "port_reuse", confidence: cause.Likely, side: diagnose.SideDownstream, action: diagnose.Closed, impact: diagnose.NoImpact, phase: cause.PhaseConnect},
	{name: "capture: the third packet of the handshake is reset", story: func() *story { return opened().answered(41*ms, up) },
		cause: "accept_queue_overflow", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.UnknownImpact, phase: cause.NoData},
	{name: "capture: keepalive of the server gives up", story: func() *story {
		probe := func(p *evidence.Packet) { p.Seq--; p.Probe, p.TSEcr = true, 65596 }
		return asked().packet(60*sec, up, evidence.ACK, 0, probe).packet(60*sec+ms, down, evidence.ACK, 0).
			packet(70*sec, up, evidence.ACK, 0, probe).packet(70*sec+ms, down, evidence.ACK, 0).
			packet(80*sec, up, evidence.RST|evidence.ACK, 0, func(p *evidence.Packet) { p.TSEcr = 65596 })
	}, cause: "peer_keepalive_expired", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "the upstream's kernel ran out of memory", story: func() *story {
		return exchanged(local()).kernel(3*sec, evidence.ReasonAbortOnMemory, 7).fails(3*sec, up, evidence.ECONNRESET, 0)
	}, cause: "peer_out_of_memory", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "the upstream's socket was destroyed", story: func() *story {
		return exchanged(local()).kernel(3*sec, evidence.ReasonState, 1).fails(3*sec, up, evidence.ECONNRESET, 0)
	}, cause: "peer_socket_destroyed", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.NoImpact, phase: cause.IdlePhase},
	{name: "capture: closed port", story: func() *story {
		return capture().packet(0, down, evidence.SYN, 0).packet(20*ms, up, evidence.RST|evidence.ACK, 0, bare, func(p *evidence.Packet) { p.Flags, p.Seq, p.Ack = evidence.RST|evidence.ACK, 0, 1001 })
	}, cause: "port_closed", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect, alike: []string{"firewall_reject"}},
	{name: "capture: a box on the way refuses", story: func() *story {
		return capture().add(0, evidence.NoLeg, evidence.Baseline{Of: up, TTL: 57, RTT: 19 * ms, Age: 2 * sec}).packet(0, down, evidence.SYN, 0).
			packet(2*ms, up, evidence.RST|evidence.ACK, 0, bare, func(p *evidence.Packet) { p.Flags, p.Seq, p.Ack, p.TTL = evidence.RST|evidence.ACK, 0, 1001, 63 })
	}, cause: "firewall_reject", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Refused, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect, alike: []string{"port_closed"}},
	{name: "capture: bytes behind the FIN", story: func() *story {
		return asked().packet(1*sec, up, evidence.FINFlag|evidence.ACK, 0).packet(2*sec, down, evidence.PSH|evidence.ACK, 100).answered(2020*ms, up)
	}, cause: "write_after_close", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.HalfClosed},
	{name: "capture: closed with bytes to be sent", story: func() *story {
		full := func(p *evidence.Packet) { p.Window = 0 }
		return asked().packet(70*ms, up, evidence.PSH|evidence.ACK, 4000).packet(70*ms, down, evidence.ACK, 0, full).
			packet(100*ms, down, evidence.PSH|evidence.ACK, 50, full).answered(120*ms, up)
	}, cause: "write_after_close", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding},
	{name: "capture: state lost", story: func() *story {
		return asked().packet(100*sec, down, evidence.PSH|evidence.ACK, 100).answered(100*sec+20*ms, up)
	}, cause: "stale_connection", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding, alike: []string{"firewall_reject"}},
	{name: "capture: a router rejects", story: func() *story {
		return asked().packet(1*sec, down, evidence.PSH|evidence.ACK, 100).packet(1*sec+ms, up, evidence.RST, 0, bare, func(p *evidence.Packet) { p.TTL = 64 })
	}, cause: "firewall_reject", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding, alike: []string{"stale_connection", "injected_reset"}},
	{name: "capture: closed with much unread", story: func() *story {
		return asked().packet(1*sec, down, evidence.PSH|evidence.ACK, 60000).packet(1020*ms, up, evidence.ACK, 0, func(p *evidence.Packet) { p.Window = 30 }).packet(1100*ms, up, evidence.RST|evidence.ACK, 0)
	}, cause: "app_close_unread", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.RequestUnanswered, phase: cause.Outstanding, alike: []string{"app_abort"}},
	{name: "capture: cut after accepting", story: func() *story { return opened().packet(45*ms, up, evidence.RST|evidence.ACK, 0) },
		cause: "abort_at_accept", confidence: cause.Conclusive, side: diagnose.SideUpstream, action: diagnose.Reset, impact: diagnose.UnknownImpact, phase: cause.NoData},
	{name: "capture: no answer", story: func() *story {
		return capture().packet(0, down, evidence.SYN, 0).packet(1*sec, down, evidence.SYN, 0, func(p *evidence.Packet) { p.Seq = 1000 })
	}, cause: "connect_timeout", confidence: cause.Likely, side: diagnose.SideUpstream, action: diagnose.TimedOut, impact: diagnose.RequestUnanswered, phase: cause.PhaseConnect},
	{name: "no end seen", story: func() *story { return exchanged(local()) },
		cause: "unknown", confidence: cause.Possible, side: diagnose.SideUnknown, action: diagnose.Reset, impact: diagnose.UnknownImpact, phase: ""},
}

func TestDiagnose(t *testing.T) {
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			v := diagnose.Diagnose(e.story().evidence())
			origin := e.origin
			if k, _ := cause.ByID(e.cause); origin == "" {
				origin = k.Origin
			}
			want := diagnose.Verdict{Cause: e.cause, Confidence: e.confidence, Side: e.side, Action: e.action,
				Impact: e.impact, Phase: e.phase, Alternatives: e.alike, Origin: origin}
			got := diagnose.Verdict{Cause: v.Cause, Confidence: v.Confidence, Side: v.Side, Action: v.Action,
				Impact: v.Impact, Phase: v.Phase, Alternatives: v.Alternatives, Origin: v.Origin}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s\n(-want +got)\n%s", v.Sentence, d)
			}
			if v.Sentence == "" || len(v.Advice) == 0 || e.cause != "unknown" && len(v.For) == 0 {
				t.Errorf("the verdict does not say enough: %+v", v)
			}
		})
	}
}

// A verdict may get humbler when something was not seen. It must not get wrong and sure.
func TestNothingMissingMakesItWrongAndSure(t *testing.T) {
	for _, e := range examples {
		whole := e.story().evidence()
		for i := range whole.Observations {
			part := *whole
			part.Observations = slices.Delete(slices.Clone(whole.Observations), i, i+1)
			v := diagnose.Diagnose(&part)
			if v.Confidence == cause.Conclusive && v.Cause != e.cause {
				t.Errorf("%s: without %+v it is conclusively %s (%s)", e.name, whole.Observations[i], v.Cause, v.Sentence)
			}
		}
	}
}

// Who the peers are, on which ports and when, changes words and nothing else.
func TestAddressesDoNotMatter(t *testing.T) {
	for _, e := range examples {
		ev := e.story().evidence()
		before := diagnose.Diagnose(ev)
		if ev.Client.Addr().IsLoopback() {
			ev.Client, ev.Server = netip.MustParseAddrPort("[::1]:1"), netip.MustParseAddrPort("127.0.0.9:2")
		} else {
			ev.Client = netip.MustParseAddrPort("[2001:db8::1]:1")
			ev.OwnUp = netip.AddrPortFrom(ev.OwnUp.Addr(), 9)
		}
		after := diagnose.Diagnose(ev)
		if before.Cause != after.Cause || before.Confidence != after.Confidence || before.Side != after.Side || before.Impact != after.Impact {
			t.Errorf("%s: got %s %s, want %s %s", e.name, after.Cause, after.Confidence, before.Cause, before.Confidence)
		}
	}
}

// Every rule's finding must hold what the engine promises of it, and alternatives stay in the family.
func TestAlternativesAreOfTheFamily(t *testing.T) {
	for _, e := range examples {
		v := diagnose.Diagnose(e.story().evidence())
		for _, id := range v.Alternatives {
			related := slices.ContainsFunc(cause.Families, func(f []string) bool { return slices.Contains(f, id) && slices.Contains(f, v.Cause) })
			if !related || id == v.Cause {
				t.Errorf("%s: %s is no alternative to %s", e.name, id, v.Cause)
			}
		}
	}
}

// Of a cause that has several things to do, those of the case are told.
func TestAdviceIsOfTheCase(t *testing.T) {
	want := map[string][]string{ // by example, how each line begins
		"not redirected": {"Not redirected: "},
		"loop":           {"A loop in mode forward: ", "A loop in modes redirect and tproxy: "},
		"client aborts while its answer is on its way": {"A client that leaves: "},
		"closed with a full receive buffer":            {"If the server answered early, ", "Look for a crash, ", "If the answer may be lost by it, "},
	}
	for _, e := range examples {
		begins, listed := want[e.name]
		if !listed {
			continue
		}
		delete(want, e.name)
		got := diagnose.Diagnose(e.story().evidence()).Advice
		if !slices.EqualFunc(got, begins, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", e.name, got, begins)
		}
	}
	if len(want) > 0 {
		t.Errorf("no examples of the names %v", slices.Sorted(maps.Keys(want)))
	}
}

func TestEveryCauseHasAnExample(t *testing.T) {
	for _, k := range cause.All() {
		if !slices.ContainsFunc(examples, func(e example) bool { return e.cause == k.ID }) {
			t.Errorf("no example comes out as %s", k.ID)
		}
	}
}

func TestTimersAreNamed(t *testing.T) {
	tests := []struct {
		name  string
		story *story
		want  []string // the beginnings
	}{
		{"server closes after 75 s", exchanged(remote()).fin(75*sec+20*ms, up).fin(76*sec, down), []string{"75 s is the default of nginx (keepalive_timeout)"}},
		{"state lost after 400 s", exchanged(remote()).sent(400*sec, down, 300).fails(400*sec+6*ms, up, evidence.ECONNRESET, 300),
			[]string{"350 s is within the silence of 6m40s: the default of AWS Network Load Balancer"}},
		{"no silence", exchanged(remote()).fin(30*ms, up).fin(31*ms, down), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := diagnose.Diagnose(test.story.evidence()).Timers
			if len(test.want) == 0 && len(got) > 0 {
				t.Fatalf("got %q, want none", got)
			}
			for _, want := range test.want {
				if !slices.ContainsFunc(got, func(s string) bool { return len(s) >= len(want) && s[:len(want)] == want }) {
					t.Errorf("got %q, want one that begins with %q", got, want)
				}
			}
		})
	}
}

func FuzzDiagnose(f *testing.F) {
	for _, e := range examples {
		f.Add(encode(e.story().evidence()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ev := decode(data)
		first, second := diagnose.Diagnose(ev), diagnose.Diagnose(ev)
		if d := cmp.Diff(first, second); d != "" {
			t.Errorf("two answers to the same evidence\n%s", d)
		}
		if _, known := cause.ByID(first.Cause); !known || first.Confidence < cause.Possible {
			t.Errorf("got %q, %s", first.Cause, first.Confidence)
		}
	})
}

func BenchmarkDiagnose(b *testing.B) {
	for _, bm := range []struct {
		name string
		ev   *evidence.Evidence
	}{
		{"sockets", exchanged(local()).fin(30*ms, down).fin(31*ms, up).evidence()},
		{"capture", asked().packet(1*sec, up, evidence.FINFlag|evidence.ACK, 0).packet(2*sec, down, evidence.PSH|evidence.ACK, 100).answered(2020*ms, up).evidence()},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				diagnose.Diagnose(bm.ev)
			}
		})
	}
}
