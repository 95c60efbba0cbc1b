package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"syscall"

	"whyreset/config"
	"whyreset/proxy/kernel"
	"whyreset/proxy/watch"
)

// What is not known without a source, by the causes' IDs.
const (
	withoutPackets = "app_abort is not told apart from app_close_unread, nor port_closed and stale_connection from firewall_reject; " +
		"injected_reset and ignored_reset are not seen"
	withoutWitness = "which process of this very kernel reset a connection is not seen, nor peer_socket_destroyed and peer_out_of_memory; " +
		"for peers on other hosts it would tell nothing"
)

// evidence tells what the records will be able to say.
func (e *examiner) evidence(context.Context) {
	e.add(Finding{ID: "sockets", Area: Evidence, Level: OK, What: "sockets are always watched: the side of an end, its order, errno, TCP_INFO, queues, and ICMP errors of the connect phase"})
	e.source("packets", e.Config.Evidence.Packets, built(func(v *config.Evidence) { v.Packets = config.SwitchOn }), packets(), withoutPackets, kernel.NetRaw)
	e.source("witness", e.Config.Evidence.Witness, built(func(v *config.Evidence) { v.Witness = config.SwitchOn }), witness(), withoutWitness, kernel.BPF|kernel.Perfmon)
}

// built says whether this version has a source: a configuration that insists on one it has not is refused.
func built(insist func(*config.Evidence)) bool {
	cfg := config.Defaults()
	insist(&cfg.Evidence)
	return cfg.Validate() == nil
}

// source tells of one source: what it is called, how the configuration wants it, whether this version has it, why it cannot
// be had, what is not known without, and what it takes.
func (e *examiner) source(name string, want config.Switch, built bool, missing, without string, takes kernel.Capabilities) {
	f := Finding{ID: name, Area: Evidence, Level: OK, What: "evidence." + name + ": can be watched here"}
	switch {
	case !built:
		f.Level, f.What, f.Why = Note, "evidence."+name+": not built in this version", without
	case want == config.SwitchOff:
		f.Level, f.What, f.Why, f.Do = Note, "evidence."+name+" is off", without, "set it to auto"
	case missing != "":
		f.Level, f.What, f.Why = Note, fmt.Sprintf("evidence.%s: cannot be watched here: %s", name, missing), without
		switch {
		case strings.Contains(missing, "user namespace"):
			f.Do = "run it outside of user namespaces, whose root is none to the kernel's tracing"
		case e.held&takes != takes:
			f.Do = "give it " + strings.ReplaceAll(takes.String(), ", ", " and ") + ", which it needs to start only"
		}
		if want == config.SwitchOn {
			f.Level, f.Why = Fail, "it is on, and the proxy does not start without; "+without
			f.Do = cmp.Or(f.Do, "set it to auto")
		}
	}
	e.add(f)
}

// packets is why packets cannot be watched; empty when they can.
func packets() string {
	switch errno := kernel.TryPackets(); errno {
	case 0:
		return ""
	case syscall.EPERM:
		return "this process has no CAP_NET_RAW"
	default:
		return errno.Error()
	}
}

// witness is why the kernel's reset events cannot be watched; empty when they can. It watches for a moment.
func witness() string {
	w, err := watch.OpenWitness()
	if err != nil {
		return err.Error()
	}
	w.Close()
	return ""
}
