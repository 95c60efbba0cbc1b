package watch

import (
	"bytes"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestParseTrace(t *testing.T) {
	ep := func(s string) end { return endOf(netip.MustParseAddrPort(s)) }
	const at = 11925*time.Second + 234104*time.Microsecond
	for _, test := range []struct {
		name, line string
		want       event
	}{
		{"a packet answered",
			"          <idle>-0       (-------) [000] ..s1. 11925.234104: tcp_send_reset: skbaddr=0000000078b5ba60 skaddr=0000000000000000 src=127.0.0.1:1 dest=127.0.0.1:50200 state=UNKNOWN reason=NO_SOCKET",
			event{at: at, sent: true, from: ep("127.0.0.1:1"), to: ep("127.0.0.1:50200"), reason: "NO_SOCKET"}},
		{"a process's doing",
			"         my-app 2-25620   (  25619) [000] ..... 11925.234104: tcp_send_reset: skbaddr=0000000000000000 skaddr=00000000866cdf64 src=[::ffff:127.0.0.1]:40553 dest=[::ffff:127.0.0.1]:54152 state=TCP_CLOSE reason=TCP_STATE",
			event{at: at, sent: true, from: ep("127.0.0.1:40553"), to: ep("127.0.0.1:54152"), reason: "TCP_STATE", state: 7, process: "my-app 2", pid: 25619}},
		{"a process's doing, its group untold",
			" app-7 [01] ..s-25620   [000] ..... 11925.234104: tcp_send_reset: skbaddr=0000000000000000 skaddr=00000000866cdf64 src=[fd00::1]:40553 dest=[fd00::2]:54152 state=TCP_ESTABLISHED reason=TCP_STATE",
			event{at: at, sent: true, from: ep("[fd00::1]:40553"), to: ep("[fd00::2]:54152"), reason: "TCP_STATE", state: 1, process: "app-7 [01] ..s", pid: 25620}},
		{"a timer",
			"         python3-25620   (  25620) [000] ..s2. 11925.234104: tcp_send_reset: skbaddr=0000000000000000 skaddr=00000000866cdf64 src=10.0.0.1:5432 dest=10.0.0.2:54152 state=TCP_ESTABLISHED reason=TCP_KEEPALIVE_TIMEOUT",
			event{at: at, sent: true, from: ep("10.0.0.1:5432"), to: ep("10.0.0.2:54152"), reason: "TCP_KEEPALIVE_TIMEOUT", state: 1}},
		{"a process without a name",
			"           <...>-25620   (-------) [000] ..... 11925.234104: tcp_send_reset: skbaddr=0000000000000000 skaddr=00000000866cdf64 src=10.0.0.1:5432 dest=10.0.0.2:54152 state=TCP_CLOSE reason=TCP_STATE",
			event{at: at, sent: true, from: ep("10.0.0.1:5432"), to: ep("10.0.0.2:54152"), reason: "TCP_STATE", state: 7}},
		{"a socket that listens",
			"          <idle>-0       [001] ..s1. 11925.234104: tcp_send_reset: skbaddr=0000000078b5ba60 skaddr=0000000078b5ba61 src=0.0.0.0:5432 dest=0.0.0.0:0 state=TCP_LISTEN reason=TCP_FLAGS",
			event{at: at, sent: true, listener: true, from: end{port: 5432}, reason: "TCP_FLAGS", state: 10}},
		{"accepted",
			"           <...>-25620   [000] ..... 11925.234104: tcp_receive_reset: family=AF_INET sport=50200 dport=1 saddr=127.0.0.1 daddr=127.0.0.1 saddrv6=::ffff:127.0.0.1 daddrv6=::ffff:127.0.0.1 sock_cookie=12d2",
			event{at: at, from: ep("127.0.0.1:1"), to: ep("127.0.0.1:50200")}},
		{"accepted, IPv6",
			"           <...>-25620   [000] ..... 11925.234104: tcp_receive_reset: family=AF_INET6 sport=52094 dport=1 saddr=0.0.0.0 daddr=0.0.0.0 saddrv6=::1 daddrv6=::1 sock_cookie=12d3",
			event{at: at, from: ep("[::1]:1"), to: ep("[::1]:52094")}},
		{"sent, before 6.10",
			"         python3-25620   [000] ..s1. 11925.234104: tcp_send_reset: family=AF_INET sport=80 dport=50200 saddr=10.0.0.1 daddr=10.0.0.2 saddrv6=::ffff:10.0.0.1 daddrv6=::ffff:10.0.0.2 state=TCP_ESTABLISHED",
			event{at: at, sent: true, from: ep("10.0.0.1:80"), to: ep("10.0.0.2:50200"), state: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := parseTrace(test.line); !ok || got != test.want {
				t.Errorf("got %+v (%v), want %+v", got, ok, test.want)
			}
		})
	}
	for _, line := range []string{
		"", "CPU:0 [LOST 12 EVENTS]",
		"           <...>-25620   [000] ..... 11925.234104: tcp_destroy_sock: family=AF_INET sport=1 dport=2 saddrv6=::1 daddrv6=::1",
		"           <...>-25620   [000] ..... 11925.234104: tcp_receive_reset: family=AF_INET sport=99999 dport=2 saddrv6=::1 daddrv6=::1",
		"           <...>-25620   [000] ..... 11925.234104: tcp_send_reset: skbaddr=00 src=nowhere dest=[::1]:1 state=TCP_CLOSE",
	} {
		if e, ok := parseTrace(line); ok {
			t.Errorf("got %+v out of %q, want nothing", e, line)
		}
	}
}

func TestParseLost(t *testing.T) {
	for line, want := range map[string]uint64{"CPU:3 [LOST 4711 EVENTS]": 4711, "CPU:0 [LOST EVENTS]": 1} {
		if got, ok := parseLost(line); !ok || got != want {
			t.Errorf("got %d (%v) out of %q, want %d", got, ok, line, want)
		}
	}
	if got, ok := parseLost("  x-1 [000] ..... 1.000000: CPU:3 [LOST 1 EVENTS]"); ok {
		t.Errorf("got %d out of a line of another kind", got)
	}
}

// The format of this kernel is on file; before 6.10 it had no reason in it.
func TestTellsAll(t *testing.T) {
	format, err := os.ReadFile("testdata/tcp_send_reset.format")
	if err != nil {
		t.Fatal(err)
	}
	if !tellsAll(format) {
		t.Error("got that 6.18 does not tell of all resets")
	}
	var old [][]byte
	for line := range bytes.Lines(format) {
		if !bytes.Contains(line, []byte("field:enum sk_rst_reason")) {
			old = append(old, line)
		}
	}
	if tellsAll(bytes.Join(old, nil)) {
		t.Error("got that a kernel without reasons tells of all resets")
	}
}

// Names of processes are whatever their programs like.
func FuzzParseTrace(f *testing.F) {
	f.Add("sshd", "..s1.")
	f.Add("a-1 [000] ..... 1.000000: tcp_send_reset: src=1.2.3.4:5 dest=1.2.3.4:5", ".....")
	f.Fuzz(func(t *testing.T, name, flags string) {
		line := name + "-7   (      7) [001] " + flags + " 1.000002: tcp_send_reset: skbaddr=0000000000000000 skaddr=1 src=10.0.0.1:1 dest=10.0.0.2:2 state=TCP_CLOSE reason=TCP_STATE"
		e, ok := parseTrace(line)
		if ok && (e.from.port != 1 || e.to.port != 2 || e.at != time.Second+2*time.Microsecond) {
			t.Errorf("got %+v out of %q", e, line)
		}
	})
}
