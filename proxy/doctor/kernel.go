package doctor

import (
	"context"
	"fmt"
	"syscall"

	"whyreset/config"
	"whyreset/proxy/kernel"
)

// kernel looks at what this kernel can do, by trying it.
func (e *examiner) kernel(context.Context) {
	major, minor := kernel.Release()
	f := Finding{ID: "kernel_version", Area: Kernel, Level: OK, What: fmt.Sprintf("Linux %d.%d", major, minor)}
	switch {
	case major == 0:
		f.Level, f.What = Fail, "this is not Linux"
		f.Why, f.Do = "the proxy is made of Linux's own sockets, epoll and splice", "run it on Linux"
	case major < 5 || major == 5 && minor < 4:
		f.Level = Warn
		f.Why = "before 5.4 a socket does not tell its peer's window (tcpi_snd_wnd), so peer_not_reading and path_silent look alike"
		f.Do = "use a newer kernel where that matters"
	case major < 6 || major == 6 && minor < 10:
		f.Level = Note
		f.Why = "before 6.10 the kernel does not tell why it sends a reset"
	}
	e.add(f)
	if major == 0 {
		return
	}
	e.splice()
	if general := len(e.Config.Listeners) == 0; general || e.transparent() {
		e.ipTransparent()
		e.originalDst()
	}
	e.namespaces()
}

func (e *examiner) splice() {
	f := Finding{ID: "splice", Area: Kernel, Level: OK, What: "splice works"}
	if errno := kernel.TrySplice(); errno != 0 {
		f.Level, f.What = Warn, fmt.Sprintf("splice does not work: %v", errno)
		f.Why = "a sandbox such as gVisor, or a seccomp filter, forbids it or a pipe: connections that carry much may be slow or fail"
		f.Do = "allow the system calls pipe2, fcntl and splice"
	}
	e.add(f)
}

func (e *examiner) ipTransparent() {
	errno := kernel.TryTransparent()
	f := Finding{ID: "ip_transparent", Area: Kernel, Level: OK, What: "IP_TRANSPARENT may be set: mode tproxy can listen here"}
	lacking := errno == syscall.EPERM && e.held&(kernel.NetRaw|kernel.NetAdmin) == 0
	switch {
	case errno == 0:
	case lacking: // whether a listener needs it is a matter of privileges
		f.Level, f.What = Note, "IP_TRANSPARENT may not be set: this process has neither CAP_NET_RAW nor CAP_NET_ADMIN"
		f.Why = "mode tproxy, and a source that is not this host's own, need it"
	default:
		f.Level, f.What = Note, fmt.Sprintf("IP_TRANSPARENT cannot be set: %v", errno)
		f.Why = "mode tproxy, and a source that is not this host's own, need it"
		if e.uses(config.ModeTProxy) {
			f.Level, f.Do = Fail, "allow it where it is forbidden (a security module, a sandbox), or use mode redirect"
		}
	}
	e.add(f)
}

func (e *examiner) originalDst() {
	errno := kernel.TryOriginalDst()
	f := Finding{ID: "original_dst", Area: Kernel, Level: OK, What: "SO_ORIGINAL_DST answers: connections are tracked"}
	switch {
	case errno == syscall.ENOENT:
	case errno == syscall.ENOPROTOOPT:
		f.Level, f.What = Note, "SO_ORIGINAL_DST is not there: connection tracking is not loaded"
		f.Why = "mode redirect asks it where a client meant to go; it comes with the first rule of packet translation"
	default:
		f.Level, f.What = Note, fmt.Sprintf("SO_ORIGINAL_DST cannot be asked: %v", errno)
		f.Why = "mode redirect learns from it where a client meant to go, and refuses connections it does not tell of"
		if e.uses(config.ModeRedirect) {
			f.Level, f.Do = Fail, "use mode tproxy, or a kernel with nf_conntrack"
		}
	}
	e.add(f)
}
