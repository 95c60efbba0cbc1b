package header

import "testing"

func TestDiagnostic(t *testing.T) {
	t.Run("the draft's own code", func(t *testing.T) {
		got, ok := ParseDiagnostic(unhex(t, `33aa 0009 00000000`))
		if want := (Diagnostic{Code: 9}); got != want || !ok {
			t.Errorf("got %+v, %v; want %+v", got, ok, want)
		}
	})
	t.Run("a vendor's code", func(t *testing.T) {
		got, ok := ParseDiagnostic(unhex(t, `33aa 0102 00007a69`))
		if want := (Diagnostic{Code: 0x102, Vendor: 31337}); got != want || !ok {
			t.Errorf("got %+v, %v; want %+v", got, ok, want)
		}
	})
	for name, payload := range map[string]string{"nothing": ``, "cut": `33aa 0009 0000`, "longer": `33aa 0009 00000000 00`, "text": `41636365 73732044`} {
		t.Run(name, func(t *testing.T) {
			if got, ok := ParseDiagnostic(unhex(t, payload)); ok {
				t.Errorf("got %+v out of %s", got, payload)
			}
		})
	}
}

func TestReadable(t *testing.T) {
	for payload, want := range map[string]string{
		"": "", "Access Denied": "Access Denied", "No route\r\n\x00": "No route\r\n", "\x33\xaa\x00\x09": "", "caf\xe9": "", "a\x00b": "",
	} {
		if got := Readable([]byte(payload)); string(got) != want {
			t.Errorf("%q: got %q, want %q", payload, got, want)
		}
	}
}

func TestMPTCPReset(t *testing.T) {
	const rst = `9c4001bb 01020304 00000000 60040000 00000000`
	for name, c := range map[string]struct {
		options string
		mptcp   bool
		reason  uint8
	}{
		"MP_TCPRST, path performance": {`1e048005`, true, 5},
		"another subtype":             {`1e043005`, true, 0},
		"none":                        {`01010101`, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, state := ParseTCP(unhex(t, rst+c.options), 24)
			if state != Whole || got.Options.MPTCP != c.mptcp || got.Options.ResetReason != c.reason {
				t.Errorf("got %v, %+v; want %v, reason %d", state, got.Options, c.mptcp, c.reason)
			}
		})
	}
}
