package rules

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
)

// sight is what is seen of a table.
type sight struct {
	there    bool
	ours     bool // it has a rule with our tag
	released bool // the chains of the captures are empty
	print    string
}

// look looks at the table of that name. The print of two looks is the same if nobody has changed anything meanwhile: the
// kernel gives each rule a number of its own, also one that replaces another. Sets are printed by what is in them.
func look(name string) (s sight, err error) {
	conn, err := nftables.New()
	if err != nil {
		return s, err
	}
	table, err := findTable(conn, name)
	if err != nil || table == nil {
		return s, err
	}
	s.there, s.released = true, true
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return s, err
	}
	var seen []string
	for _, c := range chains {
		if c.Table.Name != name {
			continue
		}
		rules, err := conn.GetRules(table, c)
		if err != nil {
			return s, fmt.Errorf("rules of chain %s: %w", c.Name, err)
		}
		text := "chain " + c.Name
		for _, r := range rules {
			text += fmt.Sprintf(" %d", r.Handle)
			comment, _ := userdata.GetString(r.UserData, userdata.TypeComment)
			s.ours = s.ours || comment == tag
		}
		if c.Hooknum == nil && len(rules) > 0 {
			s.released = false
		}
		seen = append(seen, text)
	}
	sets, err := conn.GetSets(table)
	if err != nil {
		return s, fmt.Errorf("sets: %w", err)
	}
	for _, set := range sets {
		if set.Anonymous { // belongs to a rule
			continue
		}
		elements, err := conn.GetSetElements(set)
		if err != nil {
			return s, fmt.Errorf("set %s: %w", set.Name, err)
		}
		var keys []string
		for _, e := range elements {
			keys = append(keys, fmt.Sprintf(" %x/%v", e.Key, e.IntervalEnd))
		}
		slices.Sort(keys)
		seen = append(seen, "set "+set.Name+strings.Join(keys, ""))
	}
	slices.SortFunc(seen, cmp.Compare[string])
	s.print = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(seen, "\n"))))
	return s, nil
}

// findTable returns nil when there is none.
func findTable(conn *nftables.Conn, name string) (*nftables.Table, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	for _, t := range tables {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, err
}
