package config

import (
	"strings"
	"testing"
)

// What the layers should have refused is not taken by viper either: left to
// itself it makes 5 nanoseconds of 5, 1 of true, 80 of "80" and 80.9, and a list
// of one of whatever is no list.
func TestMergeIsStrict(t *testing.T) {
	for _, test := range []struct {
		name, path string
		value      any
		want       string
	}{
		{"number for duration", "timeouts.idle", 5, "5 is no time.Duration: needs a unit"},
		{"text for duration", "timeouts.idle", "5s", "5s is no time.Duration: needs a unit"},
		{"truth for number", "limits.connections", true, "'limits.connections' expected type 'int'"},
		{"text for number", "limits.connections", "80", "'limits.connections' expected type 'int'"},
		{"number for text", "log.output", 1, "'log.output' expected type 'string'"},
		{"value for section", "listeners.x", 1, "'listeners' source data must be an array or slice, got map"},
		{"unknown key", "log.rotate", true, "'log' has invalid keys: rotate"},
		{"unknown section", "typo.key", true, "invalid keys: typo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLayer()
			l.values[test.path] = test.value
			cfg, err := merge(l, newLayer(), newLayer())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v and error %v, want %q", cfg, err, test.want)
			}
		})
	}
}
