package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"whyreset/config"
	"whyreset/proxy/kernel"
	"whyreset/proxy/rules"
)

// rules looks at what leads connections to the transparent listeners.
func (e *examiner) rules(context.Context) {
	if !e.transparent() {
		return
	}
	if e.Plan == nil {
		e.add(Finding{ID: "rules", Area: Rules, Level: Note, What: "rules.placement is none: whyreset puts no packet rules, and what others put is not known here",
			Why: "nothing comes to a listener of mode redirect or tproxy before packet rules lead there; without an exemption for mark " +
				fmt.Sprintf("%#x, or for the proxy's user, rules on what this host sends lead the proxy's own connections back to it", e.Config.Rules.Mark),
			Do: "set rules.placement, and see whyreset rules show; or look with nft list ruleset and ip rule"})
		return
	}
	e.nftables()
	e.inPlace()
	e.stateDir()
	e.add(Finding{ID: "exemption", Area: Rules, Level: OK, What: "the proxy's own connections do not come back to it: " + e.Plan.Exemption()})
	e.user()
	for _, s := range e.Plan.Sysctls() {
		e.planned(s)
	}
	for _, d := range e.Plan.WhenDead() {
		f := Finding{ID: "when_dead", Area: Rules, Level: OK, Listener: d.Capture, What: "without a running proxy: " + d.Text}
		if !d.Open {
			f.Level, f.Why = Note, "an outage of the proxy is one of the service"
			f.Do = "use whyreset run --rules, which takes the rules away when its proxy ends in any way"
		}
		e.add(f)
	}
	for _, text := range e.Plan.Notes() {
		e.add(Finding{ID: "placement", Area: Rules, Level: Note, What: text})
	}
}

// nftables asks for this network namespace's tables, which is the first thing that putting one takes.
func (e *examiner) nftables() {
	f := Finding{ID: "nftables", Area: Rules, Level: OK, What: "nf_tables answers, and packet rules may be put"}
	if err := rules.Allowed(); err != nil {
		f.Level, f.What = Note, "packet rules cannot be put, or looked at, by this process: it has no CAP_NET_ADMIN"
		f.Why = "whyreset rules apply and run --rules take it; the proxy itself needs no right to them"
		f.Do = "put them as root before the proxy starts"
	} else if _, err := rules.Leftovers(rules.DefaultTable, uint32(e.Config.Rules.RouteTable)); err != nil {
		f.Level, f.What = Warn, fmt.Sprintf("packet rules cannot be put here: %v", err)
		f.Why, f.Do = "no connection can be led to the listeners", "use a kernel with nf_tables"
	}
	e.add(f)
}

func (e *examiner) inPlace() {
	f := Finding{ID: "rules", Area: Rules, Level: Warn, Why: "new connections are not led to the listeners", Do: "whyreset rules apply, or run --rules"}
	file, err := rules.StateFile(e.Config.Rules.StateDir)
	var is rules.State
	if err == nil {
		is, err = rules.Status(file)
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		f.Level, f.What = Note, "whether the packet rules are in place cannot be seen by this process: "+err.Error()
		f.Do = "look as root: whyreset rules status"
	case err != nil:
		f.What = "the packet rules cannot be looked at: " + err.Error()
	case !is.Known:
		f.What = "the packet rules are not in place: there is no " + file
	case is.Past != "":
		f.What = "the packet rules are not in place: what " + file + " tells of is gone, as " + is.Past
	case is.Released:
		f.What = "the packet rules are released: new connections go direct"
	case !is.Complete():
		var gone []string
		for _, p := range is.Parts {
			if !p.There {
				gone = append(gone, p.What)
			}
		}
		f.What = "the packet rules are in place only in part; not as they were put: " + strings.Join(gone, ", ")
		f.Why = "connections may go another way than planned"
	case is.Plan != e.Plan.Digest():
		f.What = "the packet rules that are in place are others than the configuration asks for"
		f.Why = "connections are led as the old ones say"
	case is.By == rules.ByRun && rules.Holder(file) == 0:
		f.What = "the packet rules are in place, and the process that kept them was killed"
		f.Why = "they stay when the proxy ends, and lead new connections to nobody"
		f.Do = "whyreset run --rules, which starts anew with its own, or whyreset rules remove"
	default:
		f.Level, f.What, f.Why, f.Do = OK, "the packet rules are in place, put by "+is.By, "", ""
	}
	e.add(f)
}

// stateDir looks for a folder that cannot be written to, as in a container whose file system is read-only.
func (e *examiner) stateDir() {
	if e.held&kernel.NetAdmin == 0 {
		return // it is for others to write
	}
	dir := e.Config.Rules.StateDir
	at := dir
	for at != filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, os.ErrNotExist) {
			break
		}
		at = filepath.Dir(at) // what is missing is made in it
	}
	if errno := kernel.MayWrite(at); errno != 0 {
		e.add(Finding{ID: "state_dir", Area: Rules, Level: Warn, What: fmt.Sprintf("rules.state_dir %s: nothing can be written to %s: %v", dir, at, errno),
			Why: "rules are put only when it is noted there before: rules apply and run --rules do not start",
			Do:  "choose a folder that can be written to; in a container a volume (emptyDir)"})
	}
}

// user compares the user whose connections the rules leave alone, where nothing else tells them, with that of this process.
func (e *examiner) user() {
	r, is := e.Config.Rules, os.Geteuid()
	out := slices.ContainsFunc(e.Config.Listeners, func(l config.Listener) bool {
		return l.Mode != config.ModeForward && (r.Placement == config.PlacementClient || r.Placement == config.PlacementPod && l.Direction != config.DirectionIn)
	})
	if !out || r.Mark != 0 || r.User == 0 || r.User == is {
		return
	}
	f := Finding{ID: "rules_user", Area: Rules, Level: Fail, What: fmt.Sprintf("the rules leave alone what user %d connects to, and this is user %d", r.User, is),
		Why: "the proxy's own connections would come back to it, so it does not start", Do: fmt.Sprintf("run it as user %d, or set rules.mark", r.User)}
	if is == 0 {
		f.Level, f.Do = Note, fmt.Sprintf("use run --rules, which runs the proxy as user %d", r.User)
	}
	e.add(f)
}

// planned compares a kernel parameter with what the plan needs.
func (e *examiner) planned(s rules.Sysctl) {
	f := Finding{ID: "rules_sysctl", Area: Rules, Level: OK, What: s.Key + " = " + s.Value}
	if is, ok := e.sysctl(s.Key); !ok || is != s.Value {
		f.Level, f.What, f.Why = Warn, fmt.Sprintf("%s is %q, and the rules need %s", s.Key, is, s.Value), s.Why
		f.Do = fmt.Sprintf("sysctl -w %s=%s, or let whyreset do it with rules.sysctls: set", s.Key, s.Value)
		if e.Config.Rules.Sysctls == config.SysctlsSet && e.held&kernel.NetAdmin != 0 {
			f.Level, f.Do = Note, "nothing: it is set together with the rules"
		}
	}
	e.add(f)
}
