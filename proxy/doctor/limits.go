package doctor

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// limits looks at what runs out.
func (e *examiner) limits(context.Context) {
	e.files()
	e.pipes()
	e.cgroup()
}

const (
	filesEach  = 2  // descriptors of a connection
	filesApart = 64 // listeners, event loops, log: more than ever needed
)

func (e *examiner) files() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	n := int(min(limit.Max, 1<<31)) // the Go runtime raises the soft limit to the hard one
	room := max(0, n-filesApart) / filesEach
	f := Finding{ID: "files", Area: Limits, Level: OK, What: fmt.Sprintf("%d open files: %d connections at once", n, room)}
	want := e.Config.Limits.Connections
	switch {
	case want > room:
		f.Level, f.What = Warn, fmt.Sprintf("%d open files are %d connections at once, and limits.connections is %d", n, room, want)
		f.Why = "beyond it nothing is accepted, and clients wait"
		f.Do = fmt.Sprintf("systemd LimitNOFILE=%d, or ulimit -Hn", want*filesEach+filesApart)
	case room < 1000:
		f.Level = Warn
		f.Why = "beyond it nothing is accepted, and clients wait"
		f.Do = "systemd LimitNOFILE=1048576, docker --ulimit nofile=1048576, or ulimit -Hn"
	}
	e.add(f)
}

const pipeSize = 1 << 20 // what the relay asks for where much is carried

// pipes are what bulk is spliced through. What CAP_SYS_RESOURCE and CAP_SYS_ADMIN would lift is given up after the start.
func (e *examiner) pipes() {
	pages, ok := e.number("fs.pipe-user-pages-soft")
	if !ok || pages == 0 {
		return
	}
	n := pages * os.Getpagesize() / pipeSize
	f := Finding{ID: "pipes", Area: Limits, Level: OK, What: fmt.Sprintf("%d pipes of 1 MiB for this user (fs.pipe-user-pages-soft)", n)}
	if n < 16 {
		f.Level, f.Why = Note, "of connections that carry much at once, those beyond it are copied, which costs more processor time; no byte is lost"
		f.Do = "sysctl -w fs.pipe-user-pages-soft=16384"
	}
	e.add(f)
}

// leastMemory is below what the program takes with a few thousand connections.
const leastMemory = 64 << 20

func (e *examiner) cgroup() {
	if limit, at := e.memory(); limit > 0 && limit < leastMemory {
		e.add(Finding{ID: "memory", Area: Limits, Level: Warn, What: fmt.Sprintf("memory is limited to %d MiB (%s)", limit>>20, at),
			Why: "sockets' buffers count too: a few slow connections may have the kernel end the proxy, and with it every connection", Do: "give it 128 MiB or more"})
	}
	if quota, period := e.processor(); quota > 0 && quota < period {
		e.add(Finding{ID: "cpu", Area: Limits, Level: Note, What: fmt.Sprintf("the processor is limited to %d of %d ms", quota/1000, period/1000),
			Why: "when it is used up the proxy stands still until the period ends, which adds that much to the latency", Do: "give it a whole processor, or no limit"})
	}
}

// memory is the lowest limit on the way up from this process's cgroup; zero when there is none.
func (e *examiner) memory() (limit int64, at string) {
	e.eachCgroup("memory", func(dir string) {
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
			text, err := e.read(path.Join(dir, name))
			if n, bad := strconv.ParseInt(text, 10, 64); err == nil && bad == nil && (limit == 0 || n < limit) {
				limit, at = n, path.Join(dir, name)
			}
		}
	})
	return limit, at
}

// processor is the tightest quota in µs and its period; zero when there is none.
func (e *examiner) processor() (quota, period int) {
	tightest := func(q, p int) {
		if q > 0 && p > 0 && (quota == 0 || q*period < quota*p) {
			quota, period = q, p
		}
	}
	e.eachCgroup("cpu", func(dir string) {
		var q, p int
		if text, err := e.read(path.Join(dir, "cpu.max")); err == nil {
			if _, err := fmt.Sscan(text, &q, &p); err == nil { // "max 100000" has no quota
				tightest(q, p)
			}
		}
		text, _ := e.read(path.Join(dir, "cpu.cfs_quota_us"))
		every, _ := e.read(path.Join(dir, "cpu.cfs_period_us"))
		q, _ = strconv.Atoi(text)
		p, _ = strconv.Atoi(every)
		tightest(q, p)
	})
	return quota, period
}

// eachCgroup gives the folders of a controller from this process's own up to the root.
func (e *examiner) eachCgroup(controller string, visit func(dir string)) {
	text, err := e.read("/proc/self/cgroup")
	if err != nil {
		return
	}
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID:controllers:path
		if len(f) != 3 {
			continue
		}
		root := "/sys/fs/cgroup"
		if f[1] != "" { // version 1
			if !strings.Contains(","+f[1]+",", ","+controller+",") {
				continue
			}
			root += "/" + controller
		}
		for at := path.Clean(f[2]); ; at = path.Dir(at) {
			visit(root + at)
			if at == "/" || at == "." {
				break
			}
		}
	}
}
