package kernel

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestProbes(t *testing.T) {
	effective, permitted, errno := Held()
	if errno != 0 || effective&^permitted != 0 {
		t.Fatalf("held: %v of %v, %v", effective, permitted, errno)
	}
	for _, test := range []struct {
		name  string
		got   Errno
		needs Capabilities // one of them; zero: nothing
		ok    Errno
	}{
		{"IP_TRANSPARENT", TryTransparent(), NetRaw | NetAdmin, 0},
		{"AF_PACKET", TryPackets(), NetRaw, 0},
		{"splice", TrySplice(), 0, 0},
		{"a folder of one's own", MayWrite(t.TempDir()), 0, 0},
		{"no folder", MayWrite(t.TempDir() + "/no"), 0, unix.ENOENT},
	} {
		want := test.ok
		if test.needs != 0 && test.needs&effective == 0 {
			want = unix.EPERM
		}
		if test.got != want {
			t.Errorf("%s: got %v, want %v", test.name, test.got, want)
		}
	}
	if got := TryOriginalDst(); got != unix.ENOENT && got != unix.ENOPROTOOPT {
		t.Errorf("SO_ORIGINAL_DST: got %v, want ENOENT or ENOPROTOOPT", got)
	}
	if major, minor := Release(); major < 4 || minor < 0 {
		t.Errorf("got Linux %d.%d", major, minor)
	}
}

func TestCapabilityNames(t *testing.T) {
	for set, want := range map[Capabilities]string{
		0:                              "none",
		NetRaw | NetAdmin:              "CAP_NET_ADMIN, CAP_NET_RAW",
		NetRaw | 1<<0 | 1<<63:          "CAP_NET_RAW, 2 others",
		1 << 0:                         "1 that have no use here",
		NetBindService | Perfmon | BPF: "CAP_NET_BIND_SERVICE, CAP_PERFMON, CAP_BPF",
	} {
		if got := set.String(); got != want {
			t.Errorf("%#x: got %q, want %q", uint64(set), got, want)
		}
	}
}
