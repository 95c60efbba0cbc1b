package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is one that was found by what it has open; pid 0: none was found, or it may not be looked at.
type process struct {
	pid  int
	name string
}

// tcpListen is TCP_LISTEN as /proc/net/tcp prints a state.
const tcpListen = "0A"

// holder finds who listens on a port, among the processes that this one may look into.
func (e *examiner) holder(port string) process {
	n, err := strconv.Atoi(port)
	if err != nil {
		return process{}
	}
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := e.read(table)
		for line := range strings.Lines(text) {
			// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == tcpListen && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return process{}
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if at, err := os.Readlink(file); err != nil || !sockets[at] {
			continue
		}
		dir := filepath.Dir(filepath.Dir(file))
		name, _ := e.read(dir + "/comm")
		if program, err := os.Readlink(dir + "/exe"); err == nil { // the name of a program that was started by /proc/self/exe is "exe"
			name = filepath.Base(strings.TrimSuffix(program, " (deleted)"))
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		return process{pid, name}
	}
	return process{}
}
