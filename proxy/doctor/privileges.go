package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"whyreset/proxy"
	"whyreset/proxy/kernel"
)

// giveCapability says how a process gets one.
func giveCapability(c kernel.Capabilities) string {
	name := strings.TrimPrefix(c.String(), "CAP_")
	return fmt.Sprintf("give it CAP_%s: systemd AmbientCapabilities=CAP_%[1]s, docker --cap-add %[1]s, Kubernetes securityContext.capabilities.add [%[1]s], "+
		"or setcap cap_%s+ep on the program", name, strings.ToLower(name))
}

// privileges compares what the listeners need while they run with what there is.
func (e *examiner) privileges(context.Context) {
	f := Finding{ID: "capabilities", Area: Privileges, Level: OK,
		What: fmt.Sprintf("user %d with capabilities: %v", os.Geteuid(), e.held)}
	e.add(f)
	for _, n := range together(e.needs) {
		f := Finding{ID: "need", Area: Privileges, Level: OK, Listener: n.Listener, What: fmt.Sprintf("has %v for %s", n.AnyOf&e.held, n.For)}
		if n.AnyOf&e.held == 0 {
			f.Level, f.What, f.Why = Fail, fmt.Sprintf("lacks %s for %s", oneOf(n.AnyOf), n.For), n.Without
			if n.Optional {
				f.Level = Note
			}
			f.Do = giveCapability(least(n.AnyOf))
		}
		e.add(f)
	}
	e.reload()
}

// together makes one need of those of a listener that the same capability meets.
func together(needs []proxy.Need) (all []proxy.Need) {
	for _, n := range needs {
		i := slices.IndexFunc(all, func(o proxy.Need) bool { return o.Listener == n.Listener && o.AnyOf == n.AnyOf })
		if i < 0 {
			all = append(all, n)
			continue
		}
		all[i].For += ", and " + n.For
		all[i].Without += "; " + n.Without
		all[i].Optional = all[i].Optional && n.Optional
	}
	return all
}

func oneOf(c kernel.Capabilities) string {
	if least := least(c); least != c {
		return fmt.Sprintf("%v or %v", least, c&^least)
	}
	return c.String()
}

// least is the one that allows least else.
func least(c kernel.Capabilities) kernel.Capabilities {
	if c&kernel.NetRaw != 0 {
		return kernel.NetRaw
	}
	return c
}

// reload looks whether the files that are opened again at SIGHUP can be, once the capabilities that root reads and writes
// everything by are given up.
func (e *examiner) reload() {
	if os.Geteuid() != 0 || e.held&kernel.DacOverride == 0 {
		return
	}
	var closed []string
	if e.ConfigFile != "" && !ownerMay(e.ConfigFile, 0o4) {
		closed = append(closed, "read "+e.ConfigFile)
	}
	if out := e.Config.Log.Output; isFile(out) && mayAppend(out) == nil && !ownerMay(out, 0o2) && !ownerMay(filepath.Dir(out), 0o3) {
		closed = append(closed, "write "+out)
	}
	for _, what := range closed {
		e.add(Finding{ID: "reload", Area: Privileges, Level: Warn, What: "root may " + what + " only by CAP_DAC_OVERRIDE, which is given up after the start",
			Why: "it cannot be opened again at SIGHUP: the configuration, or the log file, stays as it was",
			Do:  "let the file, and for a log its folder, belong to root"})
	}
}

// ownerMay says whether the file's mode alone gives this user all of these rights.
func ownerMay(path string, rights fs.FileMode) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	who, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	shift := 0
	switch {
	case int(who.Uid) == os.Geteuid():
		shift = 6
	case int(who.Gid) == os.Getegid():
		shift = 3
	}
	return info.Mode().Perm()>>shift&rights == rights
}
