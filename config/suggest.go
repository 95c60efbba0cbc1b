package config

import "strings"

// nearest returns the candidate that word was probably meant to be, or "".
// Case, "-", "_" and quotes are not held against it; beyond that at most two slips are
// (one in short words): a wrong guess is worse than none.
func nearest(word string, candidates []string) string {
	best, bestCost := "", 3
	for _, c := range candidates {
		a, b := squash(word), squash(c)
		most := 2
		if len(b) <= 4 {
			most = 1
		}
		if cost := distance(a, b); cost <= most && cost < bestCost {
			best, bestCost = c, cost
		}
	}
	return best
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "", `"`, "", "'", "")

func squash(s string) string {
	return separators.Replace(strings.ToLower(s))
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours between a and b (optimal string alignment). Words that differ too
// much in length are not measured: keys come from files of any content.
func distance(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
