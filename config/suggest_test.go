package config

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"timeouts.connect", "connections", "idle", "json", "on", "off"}
	for _, test := range []struct{ name, word, want string }{
		{"the same", "idle", "idle"},
		{"case and separators", "Timeouts.CON_nect", "timeouts.connect"},
		{"in quotes", `"json"`, "json"},
		{"one letter more", "idlee", "idle"},
		{"one letter less", "idl", "idle"},
		{"another letter", "jsom", "json"},
		{"two neighbours swapped", "jsno", "json"},
		{"two slips in a long word", "conections", "connections"},
		{"two slips in a short word", "jsxx", ""},
		{"three slips", "conectionz!", ""},
		{"nothing like it", "colour", ""},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := nearest(test.word, words); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
