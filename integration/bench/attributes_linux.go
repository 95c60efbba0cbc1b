package main

import "syscall"

// attributes have a child stop even when this process is killed in a way that runs no deferred call.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
