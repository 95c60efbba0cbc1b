package record

import (
	"unicode/utf8"

	"whyreset/diagnose/evidence"
)

// natural bounds a time to what a record may have: never below zero, never above what readers take.
func natural(n int64) int64 { return min(max(0, n), maxInteger) }

// word bounds what is one word of ours in every verdict.
func word(s string) string { return clip(s, 64) }

// fits says that no word of the coverage needs to be shortened to n bytes.
func fits(c *evidence.Coverage, n int) bool {
	return len(c.Sockets) <= n && len(c.Packets) <= n && len(c.Witness) <= n
}

// clip shortens s to at most n bytes of whole characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const ellipsis = "…"
	n -= len(ellipsis)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + ellipsis
}
