package lab

import (
	"fmt"
	"os/exec"
	"strings"
)

// HasSS returns nil when hosts can be made here and ss, which destroys their sockets, is installed.
func HasSS() error {
	if err := Available(); err != nil {
		return err
	}
	_, err := tool("ss")
	return err
}

// HasTcpkill returns nil when hosts can be made here and tcpkill, which forges resets, is installed.
func HasTcpkill() error {
	if err := Available(); err != nil {
		return err
	}
	_, err := tool("tcpkill")
	return err
}

// KillSockets destroys the host's TCP sockets, listening ones apart, that match a filter in the language of ss(8), such
// as "dport", "=", ":80". Their owners see ECONNABORTED, their peers a reset: it is SOCK_DESTROY of sock_diag(7). It
// returns how many were destroyed; that there was none to destroy is an error.
func (h *Host) KillSockets(filter ...string) (int, error) {
	path, err := tool("ss")
	if err != nil {
		return 0, fmt.Errorf("destroying sockets needs ss (Debian package iproute2): %w", err)
	}
	list := func(options ...string) (int, error) {
		// "connected" is every state but LISTEN and CLOSED, TIME-WAIT with it.
		out, err := h.Run(exec.Command(path, append(append(options, "state", "connected"), filter...)...))
		return strings.Count(out, "\n"), err
	}
	there, err := list("-tnH")
	if err != nil {
		return 0, err
	}
	if there == 0 {
		return 0, fmt.Errorf("%s: no socket matches %q", h.name, strings.Join(filter, " "))
	}
	// ss lists what it has destroyed, and passes in silence over what the kernel cannot destroy (EOPNOTSUPP).
	killed, err := list("-KtnH")
	if err == nil && killed == 0 {
		err = fmt.Errorf("%s: %d sockets match %q and none was destroyed: is this kernel built without INET_DIAG_DESTROY?",
			h.name, there, strings.Join(filter, " "))
	}
	return killed, err
}
