package main

import (
	"os/exec"
	"os/user"
	"strconv"
	"syscall"

	"whyreset/proxy/kernel"
)

// runAs has a program run as a user, in that user's own group and no others, with capabilities.
func runAs(cmd *exec.Cmd, id int, with kernel.Capabilities) {
	group := id
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		if n, err := strconv.Atoi(u.Gid); err == nil {
			group = n
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(group)}}
	for n := range uintptr(64) {
		if with&(1<<n) != 0 {
			cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, n)
		}
	}
}
