package main

import (
	"os"
	"syscall"

	"whyreset/diagnose/record"
	"whyreset/proxy/telemetry"
)

// supervisedFlag marks the proxy that run --rules starts.
const supervisedFlag = "supervised"

// supervisor is the process that keeps the packet rules, seen from the proxy; nil where there is none.
type supervisor struct {
	ready  *os.File
	orders *os.File
}

// newSupervisor takes what startWorker hands over.
func newSupervisor() *supervisor {
	return &supervisor{ready: os.NewFile(3, "ready"), orders: os.NewFile(4, "orders")}
}

// listening tells it that connections may come.
func (s *supervisor) listening() {
	if s != nil {
		s.ready.Write([]byte{1})
		s.ready.Close()
	}
}

// signals adds those that it passes on to own ones. Of stops that came both ways each counts once.
func (s *supervisor) signals(own <-chan os.Signal, log *telemetry.Writer) <-chan os.Signal {
	if s == nil {
		return own
	}
	all, passed := make(chan os.Signal, 4), make(chan os.Signal)
	go s.read(passed, log)
	go func() {
		stops, most := map[bool]int{}, 0
		for {
			var sig os.Signal
			var hisOwn bool
			select {
			case sig = <-own:
				hisOwn = true
			case sig = <-passed:
			}
			if sig != syscall.SIGHUP {
				if stops[hisOwn]++; stops[hisOwn] <= most {
					continue
				}
				most = stops[hisOwn]
			}
			all <- sig
		}
	}()
	return all
}

func (s *supervisor) read(passed chan<- os.Signal, log *telemetry.Writer) {
	for order := make([]byte, 1); ; {
		if n, err := s.orders.Read(order); n == 0 || err != nil {
			break
		}
		passed <- syscall.Signal(order[0])
	}
	log.Notice(record.Notice{Level: record.Error, Code: record.RulesUnattended,
		Message: "the process that keeps the packet rules has ended; connections are carried on, and the rules stay when this process ends: " +
			"then start whyreset run --rules again, or take them away with whyreset rules remove"})
}
