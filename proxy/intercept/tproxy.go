package intercept

import "net/netip"

// handedOver: the socket's own address is the destination. A connection that came straight to the listener looks the
// same, but for its port being the listener's and its address being this host's.
func (w *Way) handedOver(local netip.AddrPort) (netip.AddrPort, Refusal) {
	if local.Port() == w.Listen.Port() && (local.Addr() == w.Listen.Addr() || w.Policy.own(local.Addr())) {
		return local, NotRedirected
	}
	return local, Fine
}
