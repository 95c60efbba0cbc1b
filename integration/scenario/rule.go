package scenario

import "fmt"

// rule is a script of nft with one rule in one chain. Several of them in one host need different hooks.
func rule(hook, format string, args ...any) string {
	return fmt.Sprintf("table inet scenario_%s { chain c { type filter hook %s priority 0; %s; }; }",
		hook, hook, fmt.Sprintf(format, args...))
}
