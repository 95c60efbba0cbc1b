package proxy

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"whyreset/config"
	"whyreset/diagnose/record"
	"whyreset/proxy/kernel"
)

// A Need is a right that listeners use for as long as they carry connections.
type Need struct {
	Listener string
	AnyOf    kernel.Capabilities // one of them is enough
	For      string              // what
	Without  string              // what becomes of it without
	Optional bool                // the listener works without, but for what Without says
}

// Needs are the rights that a configuration takes while it is in force. Mode forward takes none, but for the mark where the
// configured rules take what this host sends; that the addresses of listeners can be bound is a matter of the start alone.
func Needs(cfg *config.Config) (all []Need) {
	for _, l := range cfg.Listeners {
		all = append(all, needs(l, cfg.Rules)...)
	}
	return all
}

func needs(l config.Listener, r config.Rules) (all []Need) {
	either := kernel.NetRaw | kernel.NetAdmin
	switch {
	case l.Mode == config.ModeTProxy:
		all = append(all, Need{Listener: l.Name, AnyOf: either, For: "IP_TRANSPARENT, as which mode tproxy listens",
			Without: "the listener cannot be opened"})
	case l.Mode == config.ModeRedirect && l.Source != config.SourceOwn:
		all = append(all, Need{Listener: l.Name, AnyOf: either, For: "IP_TRANSPARENT, to dial from the client's address",
			Without: "connections of clients on other hosts are refused"})
	}
	if marked(l, r) {
		mark := Need{Listener: l.Name, AnyOf: either, For: fmt.Sprintf("SO_MARK %#x, by which packet rules know the proxy's own connections", r.Mark),
			Without:  "packet rules that go by the mark would lead the proxy's own connections back to it, which refuses them as a loop",
			Optional: r.Placement == config.PlacementNone || l.Mode == config.ModeForward}
		if major, minor := kernel.Release(); major < 5 || major == 5 && minor < 17 { // sk_setsockopt, SO_MARK
			mark.AnyOf = kernel.NetAdmin
		}
		all = append(all, mark)
	}
	if l.Source == config.SourceClient {
		all = append(all, Need{Listener: l.Name, AnyOf: kernel.NetBindService, For: "clients whose own port is below 1024",
			Without: "such clients are seen from another port of theirs, and with on_conflict refuse they are refused; others are not concerned", Optional: true})
	}
	return all
}

// marked says whether what a listener dials bears the mark. Where the configured rules take only what comes in, and the way
// back needs no guiding, it would be a right kept for nothing; of rules made by somebody else nothing is known.
func marked(l config.Listener, r config.Rules) bool {
	switch {
	case r.Mark == 0 || l.Mode == config.ModeForward && r.Placement == config.PlacementNone:
		return false
	case l.Mode == config.ModeTProxy || l.Source != config.SourceOwn || r.Placement == config.PlacementNone:
		return true
	}
	return outgoing(l, r) && (r.User == 0 || r.User != os.Getuid())
}

// keep chooses what to keep of what is permitted: for each need one capability, the lesser first.
func keep(needs []Need, permitted kernel.Capabilities) (kept kernel.Capabilities) {
	for _, n := range needs {
		if n.AnyOf&kept != 0 {
			continue
		}
		for _, c := range [...]kernel.Capabilities{kernel.NetBindService, kernel.NetRaw, kernel.NetAdmin} {
			if n.AnyOf&permitted&c != 0 {
				kept |= c
				break
			}
		}
	}
	return kept
}

// Confine gives up every capability of this process that the listeners do not need from now on, for good, and says in the
// log what is left. To be called between New and Start, by the program whose process this is; a process that has none is
// not told about.
func (s *Server) Confine() {
	_, permitted, errno := kernel.Held()
	if errno != 0 {
		return // not a system with capabilities
	}
	needs := Needs(s.Config())
	kept := keep(needs, permitted)
	errno = kernel.Confine(kept)
	switch {
	case permitted == 0:
	case errno == syscall.ENOTSUP:
		s.log.Notice(record.Notice{Level: record.Warn, Code: record.Privileges,
			Message: "all capabilities are kept, as this program was built with cgo: build it with CGO_ENABLED=0 to have it give up what it does not need"})
	case errno != 0:
		s.log.Notice(record.Notice{Level: record.Warn, Code: record.Privileges, Error: errno.Error(),
			Message: "capabilities that are not needed could not be given up"})
	default:
		s.log.Notice(record.Notice{Level: record.Info, Code: record.Privileges, Message: "capabilities kept: " + keptText(needs, kept)})
	}
}

func keptText(needs []Need, kept kernel.Capabilities) string {
	var uses []string
	for _, n := range needs {
		if n.AnyOf&kept != 0 {
			uses = append(uses, fmt.Sprintf("listener %s: %s", n.Listener, n.For))
		}
	}
	if len(uses) == 0 {
		return kept.String()
	}
	return kept.String() + " (" + strings.Join(uses, "; ") + ")"
}
