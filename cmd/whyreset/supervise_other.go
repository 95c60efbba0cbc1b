//go:build !linux

package main

import (
	"os/exec"

	"whyreset/proxy/kernel"
)

// runAs has no use where there are no packet rules.
func runAs(*exec.Cmd, int, kernel.Capabilities) {}
