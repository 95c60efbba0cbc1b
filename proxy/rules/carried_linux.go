package rules

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Carried counts the sockets of this network namespace that reach their peers by the rules alone, so that Remove cuts
// their connections: those that were redirected, and those with an address that is not this host's.
func Carried(stateFile string) (n int, err error) {
	s, err := current(stateFile)
	if err != nil || s == nil {
		return 0, err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0, fmt.Errorf("addresses of this host: %w", err)
	}
	own := map[netip.Addr]bool{}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own[p.Addr()] = true
		}
	}
	return n, eachSocket(func(state string, local netip.AddrPort) {
		switch state {
		case stateTimeWait, stateClose, stateListen, stateNewSynRecv:
			return
		}
		if slices.Contains(s.Redirected, local.Port()) || !own[local.Addr()] && !local.Addr().IsLoopback() {
			n++
		}
	})
}

// Listening says whether some socket of this network namespace listens on a TCP port.
func Listening(port uint16) (found bool) {
	eachSocket(func(state string, local netip.AddrPort) {
		found = found || state == stateListen && local.Port() == port
	})
	return found
}

// States of TCP sockets as /proc/net/tcp has them (include/net/tcp_states.h).
const (
	stateTimeWait   = "06"
	stateClose      = "07"
	stateListen     = "0A"
	stateNewSynRecv = "0C"
)

// eachSocket tells the state and the local address of each TCP socket (/proc/net/tcp).
func eachSocket(tell func(state string, local netip.AddrPort)) error {
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/thread-self/net/" + name)
		if os.IsNotExist(err) { // no IPv6
			continue
		}
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text()) // sl local_address rem_address st …
			if len(fields) < 4 {
				continue
			}
			if local, ok := parseSocketAddress(fields[1]); ok {
				tell(fields[3], local)
			}
		}
		if err := lines.Err(); err != nil {
			return err
		}
	}
	return nil
}

// parseSocketAddress reads 0100007F:1F90: words of four bytes in the order of the machine, and the port.
func parseSocketAddress(text string) (at netip.AddrPort, ok bool) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(b)%4 != 0 {
		return at, false
	}
	for i := 0; i < len(b); i += 4 {
		copy(b[i:], number(uint32(b[i])<<24|uint32(b[i+1])<<16|uint32(b[i+2])<<8|uint32(b[i+3])))
	}
	ip, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), ok
}
