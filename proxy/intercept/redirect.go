package intercept

import (
	"net/netip"

	"whyreset/proxy/kernel"
)

// redirected asks the connection tracker. Where it is not at work there is no answer (ENOENT); where it is, a connection
// that came straight to the listener has the listener as its original destination: dialling that would be dialling
// ourselves.
func redirected(fd int, local netip.AddrPort) (netip.AddrPort, Refusal) {
	to, errno := kernel.OriginalDst(fd, local.Addr())
	if errno != 0 || to == local {
		return local, NotRedirected
	}
	return to, Fine
}
