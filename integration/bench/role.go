package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// roleVar set makes this program a child of itself, so that the processor time of what it does there is told apart.
const roleVar = "WHYRESET_BENCH_ROLE"

// withoutRole leaves it out: whyreset takes variables that begin so for its settings.
func withoutRole(environment []string) []string {
	return slices.DeleteFunc(environment, func(v string) bool { return strings.HasPrefix(v, roleVar+"=") })
}

// playRole does not return in such a child.
func playRole() {
	role := os.Getenv(roleVar)
	if role == "" {
		return
	}
	name, arguments, _ := strings.Cut(role, " ")
	var err error
	switch name {
	case "backend":
		err = serve(strings.Fields(arguments))
	case "copy":
		var address, backend string
		var files uint64
		if _, err = fmt.Sscan(arguments, &address, &backend, &files); err == nil {
			err = relayPlainly(address, backend, files)
		}
	case "sink":
		err = takeLogs(arguments)
	case "load":
		var index, workers int
		var address string
		var length time.Duration
		if _, err = fmt.Sscan(arguments, &index, &workers, &address, (*int64)(&length)); err == nil {
			err = generate(works[index], workers, address, length)
		}
	case "command":
		os.Exit(command(strings.Fields(arguments)))
	default:
		err = fmt.Errorf("no role is called %s", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
