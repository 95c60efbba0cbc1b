package config

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of the kernel's socket options.
const (
	// maxKeepalive is MAX_TCP_KEEPIDLE of include/net/tcp.h, in seconds.
	maxKeepalive = 32767 * time.Second
	// maxUserTimeout is the int of milliseconds that TCP_USER_TIMEOUT takes.
	maxUserTimeout = math.MaxInt32 * time.Millisecond
	// minDuration is the grain of the proxy's own timers.
	minDuration = time.Millisecond
)

// check says what is wrong with one value seen by itself: out of range, not one
// of the words, not built. Rules between keys are in validate.go.
func check(f field, value any, s supported) *fault {
	switch v := value.(type) {
	case time.Duration:
		return checkDuration(f, v)
	case int:
		if v < 0 || v > math.MaxInt32 {
			return &fault{what: "is out of range", allowed: allowed(f)}
		}
		if v > 0 && strings.HasPrefix(f.path, "limits.") && !s.limits {
			return notBuilt("0")
		}
	case float64:
		if !(v >= 0 && v <= 1) { // not a number is neither
			return &fault{what: "is out of range", allowed: allowed(f)}
		}
	case string:
		if f.kind == kindWord {
			return checkWord(f, v, s)
		}
		return checkText(f, v, s)
	}
	return nil
}

func notBuilt(allowed string) *fault {
	return &fault{what: "is not built in this version", allowed: allowed}
}

func checkDuration(f field, d time.Duration) *fault {
	switch {
	case d < 0:
		return &fault{what: "is negative", allowed: allowed(f)}
	case d == 0:
		return nil
	case d < minDuration:
		return &fault{what: "is shorter than 1ms", allowed: allowed(f)}
	case f.path == "timeouts.keepalive" && (d%time.Second != 0 || d > maxKeepalive):
		return &fault{what: "does not fit TCP_KEEPIDLE", allowed: "whole seconds from 1s to " + formatDuration(maxKeepalive) + ", or 0"}
	case f.path == "timeouts.user" && (d%time.Millisecond != 0 || d > maxUserTimeout):
		return &fault{what: "does not fit TCP_USER_TIMEOUT", allowed: "whole milliseconds from 1ms to " + formatDuration(maxUserTimeout) + ", or 0"}
	}
	return nil
}

func checkWord(f field, word string, s supported) *fault {
	if !slices.Contains(f.one, word) {
		bad := &fault{what: "is not one of the words known here", allowed: allowed(f), suggest: nearest(word, f.one)}
		if word == "" {
			bad.what = "is empty"
		}
		if slices.Contains(f.one, "on") {
			switch strings.ToLower(word) {
			case "true", "yes", "1":
				bad.suggest = "on"
			case "false", "no", "0":
				bad.suggest = "off"
			}
		}
		return bad
	}
	can := f.one
	switch f.path {
	case "listeners[].mode":
		can = words(s.modes)
	case "listeners[].source":
		can = words(s.sources)
	case "evidence.packets":
		can = switchWords(s.packets)
	case "evidence.witness":
		can = switchWords(s.witness)
	}
	if !slices.Contains(can, word) {
		return notBuilt(strings.Join(can, ", "))
	}
	return nil
}

func words[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

func switchWords(built bool) []string {
	if built {
		return []string{string(SwitchAuto), string(SwitchOn), string(SwitchOff)}
	}
	return []string{string(SwitchAuto), string(SwitchOff)}
}

var listenerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func checkText(f field, text string, s supported) *fault {
	if !utf8.ValidString(text) {
		return &fault{what: "is not valid UTF-8", allowed: allowed(f)}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return &fault{what: "holds a control character or an unusual space", allowed: allowed(f)}
	}
	var bad *fault
	switch f.path {
	case "listeners[].name":
		if text != "" && !listenerName.MatchString(text) {
			bad = &fault{what: "is not a name"}
		}
	case "listeners[].address":
		if text != "" {
			_, bad = parseListen(text)
		}
	case "listeners[].upstream":
		if text != "" {
			_, bad = parseUpstream(text)
		}
	case "admin.address":
		if text == "" {
			return nil
		}
		if !s.admin {
			return notBuilt(`"" (off)`)
		}
		_, bad = parseListen(text)
	case "listeners[].allow", "listeners[].deny":
		_, bad = parsePrefixes(text)
	case "listeners[].ports":
		_, bad = parsePorts(text)
	case "listeners[].interfaces":
		_, bad = parseInterfaces(text)
	case "rules.state_dir":
		if !strings.HasPrefix(text, "/") {
			bad = &fault{what: "does not begin with /"}
		}
	case "log.output":
		bad = checkOutput(text)
	}
	if bad != nil && bad.allowed == "" {
		bad.allowed = allowed(f)
	}
	return bad
}

// checkOutput wants a slash in a path, or a slip in "stdout" would quietly
// become a file of that name in whatever folder the program was started in.
func checkOutput(text string) *fault {
	streams := []string{"stdout", "stderr"}
	switch {
	case text == "":
		return &fault{what: "is empty"}
	case slices.Contains(streams, text):
		return nil
	case strings.HasSuffix(text, "/"):
		return &fault{what: "is a folder"}
	case strings.HasPrefix(text, "~"):
		return &fault{what: `begins with "~", which only a shell makes into a path`}
	case strings.Contains(text, "/"):
		return nil
	}
	bad := &fault{what: "is neither a stream nor a path", suggest: nearest(text, streams)}
	if bad.suggest == "" {
		bad.suggest = "./" + text
	}
	return bad
}
