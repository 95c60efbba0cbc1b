package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// along lists what the kernel sets together with a parameter: inet_forward_change (net/ipv4/devinet.c) and
// addrconf_fixup_forwarding (net/ipv6/addrconf.c).
var along = map[string][]string{
	"net.ipv4.ip_forward":          {"net/ipv4/conf/*/forwarding", "net/ipv4/conf/all/accept_redirects"},
	"net.ipv6.conf.all.forwarding": {"net/ipv6/conf/*/forwarding"},
}

const procSys = "/proc/sys/"

func sysctlPath(key string) string { return procSys + strings.ReplaceAll(key, ".", "/") }

func readSysctl(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

func writeSysctl(path, value string) error { return os.WriteFile(path, []byte(value), 0) }

// change says what setting s would change; false when it has its value already.
func change(s Sysctl) (changedValue, bool, error) {
	was, err := readSysctl(sysctlPath(s.Key))
	if err != nil {
		return changedValue{}, false, fmt.Errorf("sysctl %s: %w", s.Key, err)
	}
	c := changedValue{Key: s.Key, Set: s.Value, Was: was, Along: map[string]string{}}
	for _, pattern := range along[s.Key] {
		paths, err := filepath.Glob(procSys + pattern)
		if err != nil {
			return c, false, err
		}
		for _, path := range paths {
			if c.Along[path], err = readSysctl(path); err != nil {
				return c, false, fmt.Errorf("sysctl %s: %w", path, err)
			}
		}
	}
	return c, was != s.Value, nil
}

func (c changedValue) apply() error {
	if err := writeSysctl(sysctlPath(c.Key), c.Set); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", c.Key, c.Set, err)
	}
	return nil
}

// undo leaves a parameter alone that somebody has set to something else meanwhile.
func (c changedValue) undo() error {
	now, err := readSysctl(sysctlPath(c.Key))
	if err != nil || now != c.Set {
		return err
	}
	if err := writeSysctl(sysctlPath(c.Key), c.Was); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", c.Key, c.Was, err)
	}
	for path, was := range c.Along {
		now, err := readSysctl(path)
		if err != nil || now == was {
			continue // an interface that is gone has nothing to put back
		}
		if err := writeSysctl(path, was); err != nil {
			return fmt.Errorf("sysctl %s=%s: %w", path, was, err)
		}
	}
	return nil
}
