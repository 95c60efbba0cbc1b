package integration

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"whyreset/config"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// nobody is a user whom the rules can know the proxy by.
var nobody = uint32(65534)

const capNetRaw = 13 // linux/capability.h

// asNobody starts the proxy as that user, with those rights alone.
func asNobody(caps ...uintptr) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: caps}
	}
}

func needUsers(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if fields := strings.Fields(string(text)); len(fields) == 3 && fields[2] == "1" {
		t.Skip("needs a second user ID in the lab, which only root can give")
	}
}

// In a pod, and on the client's host, the proxy is exempt by its user as well as by its mark. Mode redirect then takes no
// right at all, mode tproxy CAP_NET_RAW alone.
func TestTransparentExemptByUser(t *testing.T) {
	t.Parallel()
	needUsers(t)
	for _, at := range []stand{atClient, inClientPod, inServerPod} {
		for mode, caps := range map[rules.Mode][]uintptr{rules.Redirect: nil, rules.TProxy: {capNetRaw}} {
			t.Run(at.name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				r := startPlacedIn(t, lab.Options{}, at, mode, rules.SourceOwn, config.Listener{}, asNobody(caps...))
				r.user = &nobody
				r.apply()
				const size = 20_000
				peer := r.serve(80, lab.ReadAll(), lab.Write(size))
				for _, version := range []int{4, 6} {
					r.manyWhole(peer, r.server(version, 80), 50, size)
				}
			})
		}
	}
}

// A client below port 1024 is carried from another port where the proxy may not have its own, unless that is refused.
func TestTransparentPortBelow1024(t *testing.T) {
	t.Parallel()
	needUsers(t)
	for _, test := range []struct {
		on   config.OnConflict
		want string
	}{{config.ConflictAbortOld, "clean_close"}, {config.ConflictRefuse, "proxy_refused"}} {
		t.Run(string(test.on), func(t *testing.T) {
			t.Parallel()
			r := startPlacedIn(t, lab.Options{}, atRouter, rules.TProxy, rules.SourceClient, config.Listener{OnConflict: test.on}, asNobody(capNetRaw))
			r.apply()
			r.serve(80, lab.Write(100))
			for _, version := range []int{4, 6} {
				from := r.client(version, 700)
				out := lab.Outcome{End: lab.EndReset}
				conn, err := r.tryFrom(from, r.server(version, 80))
				if err == nil {
					out = lab.Run(t.Context(), conn, lab.Script{Expects: 1, Steps: steps(lab.ReadAll())})
				} else if !errors.Is(err, syscall.ECONNRESET) { // which may come as soon as the handshake
					t.Fatal(err)
				}
				c := r.record()
				if c.Verdict.Cause != test.want {
					t.Errorf("%v: got %s, want %s: %s", from, c.Verdict.Cause, test.want, c.Verdict.Sentence)
				}
				if carried := test.want == "clean_close"; carried != (out.End == lab.EndEOF && out.Read == 100) || carried != did(c, evidence.OtherPort) {
					t.Errorf("%v: %v, and the record has %v", from, out, c.Evidence.Observations)
				}
				if local := c.Upstream.Local; local != (netip.AddrPort{}) && (local.Addr() != from.Addr() || local.Port() < 1024) {
					t.Errorf("%v: dialled from %v, want a high port of the client's address", from, local)
				}
			}
		})
	}
}

// The router's word on the size of packets, which it gives to the client whose address they bear, comes to the proxy.
func TestTransparentPathMTU(t *testing.T) {
	t.Parallel()
	for _, source := range []rules.Source{rules.SourceClient, rules.SourceClientIP, rules.SourceOwn} {
		t.Run(string(source), func(t *testing.T) {
			t.Parallel()
			r := startPlaced(t, atRouter, rules.TProxy, source, config.Listener{})
			r.apply()
			ip := need(t, "ip")
			if _, err := r.Router.Run(exec.Command(ip, "link", "set", "toserver", "mtu", "1400")); err != nil {
				t.Fatal(err)
			}
			const size = 500_000
			peer := r.serve(80, lab.ReadAll(), lab.Write(size))
			for _, version := range []int{4, 6} {
				r.manyWhole(peer, r.server(version, 80), 1, size)
			}
		})
	}
}
