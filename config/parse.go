package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// fault is what is wrong with one value; the caller knows where it stands.
type fault struct {
	what    string
	allowed string
	suggest string
}

// parse reads the text of a value. The three sources share it, so that the
// same text means the same thing in a file, a variable and a flag. Whether the
// value is sensible is for check.
func parse(f field, text string) (any, *fault) {
	switch f.kind {
	case kindDuration:
		return parseDuration(f, text)
	case kindCount:
		return parseCount(f, text)
	case kindRatio:
		return parseRatio(f, text)
	case kindMark:
		return parseMark(f, text)
	}
	return text, nil
}

var (
	bareNumber = regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]*)?$`)
	wholeDays  = regexp.MustCompile(`^([0-9]{1,5}) ?d(ays?)?$`)
	decimal    = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
)

func parseDuration(f field, text string) (any, *fault) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	bad := &fault{what: "is not a duration", allowed: allowed(f)}
	squeezed := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	switch {
	case text == "":
		bad.what = "is empty"
	case bareNumber.MatchString(text):
		bad.what = "has no unit"
		if text[0] != '-' {
			bad.suggest = text + "s"
		}
	case wholeDays.MatchString(text):
		days, _ := strconv.Atoi(wholeDays.FindStringSubmatch(text)[1])
		bad.suggest = strconv.Itoa(24*days) + "h"
	case squeezed != text:
		if _, err := time.ParseDuration(squeezed); err == nil {
			bad.suggest = squeezed
		}
	}
	return nil, bad
}

// parseCount takes decimal digits only: in YAML 010 and 0o10 are 8 and 1_0 is
// 10, and few people who write them know.
func parseCount(f field, text string) (any, *fault) {
	if text == "" {
		return nil, &fault{what: "is empty", allowed: allowed(f)}
	}
	if !decimal.MatchString(text) {
		return nil, &fault{what: "is not a whole number in decimal digits", allowed: allowed(f)}
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, &fault{what: "is out of range", allowed: allowed(f)}
	}
	return n, nil
}

func parseRatio(f field, text string) (any, *fault) {
	if text == "" {
		return nil, &fault{what: "is empty", allowed: allowed(f)}
	}
	if part, ok := strings.CutSuffix(text, "%"); ok {
		if n, err := strconv.ParseFloat(part, 64); err == nil && n >= 0 && n <= 100 {
			return nil, &fault{what: "is a percentage", allowed: allowed(f), suggest: strconv.FormatFloat(n/100, 'f', -1, 64)}
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xXpP_") {
		return nil, &fault{what: "is not a number", allowed: allowed(f)}
	}
	return n, nil
}

var mark = regexp.MustCompile(`^(0x[0-9a-fA-F]+|0|[1-9][0-9]*)$`)

// parseMark takes what ip and nft take, without the octal of either.
func parseMark(f field, text string) (any, *fault) {
	if text == "" {
		return nil, &fault{what: "is empty", allowed: allowed(f)}
	}
	if !mark.MatchString(text) {
		return nil, &fault{what: "is not a mark", allowed: allowed(f)}
	}
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return nil, &fault{what: "is out of range", allowed: allowed(f)}
	}
	return uint32(n), nil
}

// allowed says what may be written for a key.
func allowed(f field) string {
	switch f.kind {
	case kindWord:
		return strings.Join(f.one, ", ")
	case kindDuration:
		return "a duration with its unit, such as 500ms, 10s or 1h30m, or 0"
	case kindCount:
		return "a whole number from 0 to 2147483647"
	case kindRatio:
		return "a number from 0 to 1"
	case kindMark:
		return "a number from 0 to 0xffffffff"
	}
	switch f.path {
	case "listeners[].name":
		return `letters, digits, ".", "_", "-", at most 63, a letter or digit first`
	case "listeners[].address", "admin.address":
		return "IP:PORT such as 127.0.0.1:15432, [::1]:15432 or :15432"
	case "listeners[].upstream":
		return "HOST:PORT such as db:5432, 10.0.0.5:5432 or [2001:db8::5]:5432"
	case "listeners[].allow", "listeners[].deny":
		return "addresses and networks such as 10.0.0.0/8, 10.1.2.3, 2001:db8::/32, separated by commas"
	case "listeners[].ports":
		return "ports and ranges such as 5432, 8000-8999, separated by commas"
	case "listeners[].interfaces":
		return `names of interfaces such as eth0 or veth*, separated by commas`
	case "rules.state_dir":
		return "the path of a folder, from /"
	case "log.output":
		return "stdout, stderr, or the path of a file (with a /)"
	}
	return "text"
}
