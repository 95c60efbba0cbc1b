package intercept

import (
	"net/netip"

	"whyreset/proxy/kernel"
)

// redirected asks the connection tracker. Where it is not at work there is no answer (ENOENT); where it is, a connection
// that came straight to the listener has the listener as its original destination: dialling that would be dialling
// ourselves.
//
// The client's address is told rightly, its port not always: a client that uses one port for two destinations would be
// twice the same connection to the listener, so the tracker gives the second one another port (nf_nat_inet_fn finds a
// unique tuple), also for as long as it remembers the first one after its end. With mode tproxy the port is the client's.
func redirected(fd int, local netip.AddrPort) (netip.AddrPort, Refusal) {
	to, errno := kernel.OriginalDst(fd, local.Addr())
	if errno != 0 || to == local {
		return local, NotRedirected
	}
	return to, Fine
}
