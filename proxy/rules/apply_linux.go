package rules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// step is one change. Each is either made or not, whatever happens.
type step struct {
	what string
	do   func() error
}

// Apply does what the plan says, in the network namespace of the calling thread. If it fails, what it did is undone.
//
// The state file is what Remove goes by; it is written before anything else is touched. If it is there already, rules that
// were left by a crash, or are in use, are replaced: packet rules in one atomic change, under which established
// connections go on. What bears our tags and has no state file is taken away first. Two
// processes must not use one file at the same time: see NewLock.
func (p *Plan) Apply(ctx context.Context, stateFile string) error {
	steps, err := p.steps(stateFile)
	if err != nil {
		return fmt.Errorf("applying rules: %w", explain(err))
	}
	for _, s := range steps {
		err := ctx.Err()
		if err == nil {
			err = s.do()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("applying rules: %s: %w", s.what, explain(err)), Remove(context.WithoutCancel(ctx), stateFile))
		}
	}
	return nil
}

// steps looks at what is there; the steps themselves change it.
func (p *Plan) steps(stateFile string) ([]step, error) {
	old, err := current(stateFile)
	if err != nil {
		return nil, err
	}
	s := &state{Table: p.table.name, Plan: p.Digest(), By: p.settings.By, Since: time.Now().Truncate(time.Second)}
	if s.Boot, s.Namespace, s.Cookie, err = here(); err != nil {
		return nil, err
	}
	for _, c := range p.settings.Captures {
		if c.Mode == Redirect {
			s.Redirected = append(s.Redirected, c.Port)
		}
	}
	if p.routed {
		s.Routing = &routing{Mark: p.settings.RouteMark, Table: p.settings.RouteTable, Families: p.families()}
	}
	var steps []step
	add := func(what string, do func() error) { steps = append(steps, step{what, do}) }

	if old != nil && (old.Table != s.Table || !old.Routing.equal(s.Routing) || len(old.Sysctls) > 0 && !p.settings.SetSysctls) {
		// Nothing of it can be gone on with.
		add("removing the rules that were there", old.remove)
		old = nil
	} else if old == nil {
		left, err := leftovers(s.Table, p.settings.RouteTable)
		if err != nil {
			return nil, err
		}
		for _, l := range left {
			add("removing what was left: "+l.what, l.do)
		}
	} else {
		s.Applied, s.Print = old.Applied, old.Print // until the table is replaced
	}
	changes, err := p.changes(old)
	if err != nil {
		return nil, err
	}
	s.Sysctls = changes
	add("state file "+stateFile, func() error { return s.write(stateFile) })
	for _, c := range changes {
		add("sysctl "+c.Key, c.apply)
	}
	if r := s.Routing; r != nil {
		for _, version := range r.Families {
			add(fmt.Sprintf("route of IPv%d", version), func() error { return r.addRoute(version) })
			add(fmt.Sprintf("routing rule of IPv%d", version), func() error { return r.addRule(version) })
		}
	}
	replace := old != nil
	add("table inet "+p.table.name, func() error {
		err := p.table.put(replace)
		if errors.Is(err, unix.EEXIST) { // then it is not ours to remove either
			s.Table = ""
			err = errors.Join(err, s.write(stateFile))
		}
		return err
	})
	add("state file "+stateFile+", at the end", func() error {
		seen, err := look(s.Table)
		if err != nil {
			return err
		}
		s.Applied, s.Print = true, seen.print
		return s.write(stateFile)
	})
	return steps, nil
}

// changes are the kernel parameters to set. What an earlier run has changed was as that run found it.
func (p *Plan) changes(old *state) (all []changedValue, err error) {
	if !p.settings.SetSysctls {
		return nil, nil
	}
	for _, s := range p.sysctls {
		c, needed, err := change(s)
		if err != nil {
			return nil, err
		}
		if old != nil {
			for _, before := range old.Sysctls {
				if before.Key == c.Key && before.Set == c.Set {
					c, needed = before, true
				}
			}
		}
		if needed {
			all = append(all, c)
		}
	}
	return all, nil
}

// put installs the table; ours, if it may be there, is replaced in the same batch.
func (t *table) put(replace bool) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	if replace {
		ours := &nftables.Table{Name: t.name, Family: nftables.TableFamilyINet}
		conn.AddTable(ours) // so that there is one to delete
		conn.DelTable(ours)
	}
	if err := encode(conn, t); err != nil {
		return err
	}
	err = conn.Flush()
	switch {
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("there is one already, and no state file that says it is ours; look at it with nft list table inet %s: %w", t.name, err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("this kernel lacks something that the rules use (nft_tproxy, nft_socket, nft_redir, nft_fib_inet or nft_ct): %w", err)
	}
	return err
}

// Remove takes away what Apply put, or the part of it that a crash let it put, and puts kernel parameters back that were
// set. Without a state file there is nothing to remove. After an error the file stays, and Remove can be tried again.
func Remove(ctx context.Context, stateFile string) error {
	s, err := current(stateFile)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && s != nil {
		err = s.remove()
	}
	if err != nil {
		return fmt.Errorf("removing rules: %w", explain(err))
	}
	if err := os.Remove(stateFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove goes the other way round: first nothing is sent to the proxy any more.
func (s *state) remove() error {
	var errs []error
	if s.Table != "" {
		errs = append(errs, removeTable(s.Table))
	}
	if s.Routing != nil {
		errs = append(errs, s.Routing.remove())
	}
	for _, c := range s.Sysctls {
		errs = append(errs, c.undo())
	}
	return errors.Join(errs...)
}

func removeTable(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.DelTable(&nftables.Table{Name: name, Family: nftables.TableFamilyINet})
	if err := gone(conn.Flush()); err != nil {
		return fmt.Errorf("table inet %s: %w", name, err)
	}
	return nil
}

// Release lets new connections go direct and leaves in place what established ones need. It is for an orderly stop:
// Release, let connections end, Remove.
func Release(ctx context.Context, stateFile string) error {
	s, err := current(stateFile)
	if err != nil || s == nil {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("releasing rules: %w", err)
	}
	for _, c := range chains {
		if c.Table.Name == s.Table && c.Hooknum == nil { // a chain of a capture
			conn.FlushChain(c)
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("releasing rules: %w", err)
	}
	return ctx.Err()
}

// Status compares the state file with what is there.
func Status(stateFile string) (State, error) {
	s, err := readState(stateFile)
	if err != nil || s == nil {
		return State{}, err
	}
	st := State{Known: true, By: s.By, Since: s.Since, Plan: s.Plan}
	if st.Past, err = s.past(); err != nil || st.Past != "" {
		return st, err
	}
	var errs []error
	part := func(what string, there bool, err error) {
		st.Parts = append(st.Parts, Part{what, there})
		errs = append(errs, err)
	}
	seen, err := look(s.Table)
	part("table inet "+s.Table, seen.there, err)
	if seen.there {
		st.Released = seen.released
		part("its chains, sets and rules", s.Applied && seen.print == s.Print, nil)
	}
	if r := s.Routing; r != nil {
		for _, version := range r.Families {
			there, err := r.hasRoute(version)
			part(fmt.Sprintf("IPv%d route in table %d", version, r.Table), there, err)
			there, err = r.hasRule(version)
			part(fmt.Sprintf("IPv%d rule for mark %#x", version, r.Mark), there, err)
		}
	}
	for _, c := range s.Sysctls {
		now, err := readSysctl(sysctlPath(c.Key))
		part("sysctl "+c.Key+"="+c.Set, now == c.Set, err)
	}
	return st, errors.Join(errs...)
}

// current is the state file's content, if it is about this network namespace. What an earlier boot put is gone with it.
func current(stateFile string) (*state, error) {
	s, err := readState(stateFile)
	if err != nil || s == nil {
		return nil, err
	}
	boot, namespace, cookie, err := here()
	switch {
	case err != nil:
		return nil, err
	case s.Boot != boot, s.Namespace == namespace && s.Cookie != cookie:
		return nil, nil
	case s.Namespace != namespace:
		return nil, fmt.Errorf("state file %s is about network namespace %s, and this is %s: run it there, or name another file",
			stateFile, s.Namespace, namespace)
	}
	return s, nil
}

func (s *state) past() (string, error) {
	boot, namespace, cookie, err := here()
	switch {
	case err != nil:
		return "", err
	case s.Boot != boot:
		return "the machine was started again since", nil
	case s.Namespace == namespace && s.Cookie != cookie:
		return "it is about an earlier network namespace of that name", nil
	case s.Namespace != namespace:
		return "it is about another network namespace, " + s.Namespace, nil
	}
	return "", nil
}

// here names this boot and the calling thread's network namespace. The cookie is 0 on a kernel before 5.14.
func here() (boot, namespace string, cookie uint64, err error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", "", 0, err
	}
	namespace, err = os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", "", 0, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", "", 0, err
	}
	defer unix.Close(fd)
	cookie, _ = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return strings.TrimSpace(string(text)), namespace, cookie, nil
}
