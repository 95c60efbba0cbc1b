package relay

import (
	"net/netip"
	"sync/atomic"
)

// Target is where a listener's connections go: a name and the addresses it last had. Loops read it,
// whoever resolves the name sets it; neither waits for the other.
type Target struct {
	Name      string
	addresses atomic.Pointer[[]netip.AddrPort]
	failed    chan struct{}
}

// NewTarget makes a target without addresses; connections are refused until Set.
func NewTarget(name string) *Target {
	return &Target{Name: name, failed: make(chan struct{}, 1)}
}

// Set replaces the addresses; they are tried in this order. The slice must not change afterwards.
func (t *Target) Set(addresses []netip.AddrPort) { t.addresses.Store(&addresses) }

// Addresses are those last set.
func (t *Target) Addresses() []netip.AddrPort {
	if a := t.addresses.Load(); a != nil {
		return *a
	}
	return nil
}

// Failed gets a value after a failed connect: time to resolve the name again.
func (t *Target) Failed() <-chan struct{} { return t.failed }

func (t *Target) reportFailure() {
	select {
	case t.failed <- struct{}{}:
	default:
	}
}
