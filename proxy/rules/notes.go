package rules

import "slices"

// Notes are for people, on what a plan cannot help: each a fact and what to do about it.
func (p *Plan) Notes() (all []string) {
	s := &p.settings
	uses := func(is func(Capture) bool) bool { return slices.ContainsFunc(s.Captures, is) }
	if uses(func(c Capture) bool { return c.Mode == TProxy }) {
		// What follows a SYN finds the proxy by its socket, and a cookie stands for a socket that does not exist yet. To send
		// every packet to the listener instead would reset all that was established before the rules.
		all = append(all, "a handshake that this host answers with a SYN cookie, because the listener's queue overflowed, fails: "+
			"keep net.core.somaxconn large, or set net.ipv4.tcp_syncookies=0, with which clients try again instead")
	}
	if uses(func(c Capture) bool { return c.Mode == Redirect }) {
		all = append(all, "a client that uses one port for several destinations shows with another port in records; "+
			"redirected connections that are still open when the rules go are cut: whyreset rules remove lets them end first")
	}
	if s.Placement == Router && uses(func(c Capture) bool { return c.Source == SourceClient }) {
		all = append(all, "where this host masquerades towards the servers, what the proxy sends is not masqueraded, since connection "+
			"tracking takes both legs for one connection: use source client-ip or own there")
	}
	if s.Placement == Router && uses(func(c Capture) bool { return c.Source != SourceOwn }) {
		all = append(all, "answers to the client's address must come back through this host")
	}
	if uses(func(c Capture) bool {
		return c.Source == SourceClientIP && s.incoming(c) && (s.Placement != Router || c.Mode == Redirect)
	}) {
		// Both connections have the same addresses and ports then, seen from the server's socket, or by the connection tracking
		// of a router, which would redirect the second as it does the first.
		all = append(all, "a port that the proxy takes at the client's address may be one that the client has in use, and then one of the two "+
			"connections fails: keep net.ipv4.ip_local_port_range of this host apart from the ports that clients use, or use source own")
	}
	return all
}
