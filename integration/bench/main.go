package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"whyreset/integration/lab"
)

func main() {
	playRole()
	os.Exit(command(os.Args[1:]))
}

// options say what to measure.
type options struct {
	seconds            time.Duration // how long each work lasts
	rounds, idle       int           // idle: connections of the work of that name
	works, contestants []string      // empty: all works, and those that are measured when nothing is asked
	beside             string        // a whyreset program that competes too; empty: none
	transparent        bool          // in the lab, through relays that clients do not know of
	syscalls           bool          // count system calls instead
	cold               bool          // no round beforehand that does not count
}

func command(arguments []string) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	seconds := flags.Float64("seconds", 1, "how long each work lasts through each contestant in each round")
	rounds := flags.Int("rounds", 5, "how often all is measured; medians are told")
	idle := flags.Int("idle", 5000, "how many connections are idle in the work of that name")
	names := flags.String("works", "", "comma-separated; if empty all: "+strings.Join(workNames(), ","))
	who := flags.String("contestants", "", "comma-separated, the first is whom others are compared with; if empty "+
		strings.Join(usual, ",")+"; also "+strings.Join(unusual, ","))
	beside := flags.String("beside", "", "path of another whyreset program that competes too, such as one of before a change")
	hidden := flags.Bool("transparent", false, "across network namespaces, through relays that clients do not know of, instead of on loopback")
	calls := flags.Bool("syscalls", false, "count the system calls of each contestant instead, with strace")
	asJSON := flags.Bool("json", false, "print one JSON object instead of tables")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	o := options{seconds: time.Duration(*seconds * float64(time.Second)), rounds: *rounds, idle: *idle,
		works: list(*names), contestants: list(*who), beside: *beside, transparent: *hidden, syscalls: *calls}
	if flags.NArg() > 0 || o.seconds <= 0 || o.rounds < 1 || o.idle < 1 {
		fmt.Fprintln(os.Stderr, "bench: -seconds must be above 0, -rounds and -idle at least 1, and nothing else is taken")
		return 2
	}
	if o.transparent {
		return lab.Main(func() int { return tell(o, *asJSON) })
	}
	return tell(o, *asJSON)
}

// tell measures and prints, and returns the exit code.
func tell(o options, asJSON bool) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	rep, err := run(ctx, o)
	if ctx.Err() != nil { // whatever it was that failed for it
		err = errors.New("stopped by a signal")
	}
	if err == nil && asJSON {
		err = json.NewEncoder(os.Stdout).Encode(rep)
	} else if err == nil {
		err = rep.print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if errors.Is(err, errNoLab) {
			return codeNoLab
		}
		return 1
	}
	return 0
}

// codeNoLab is the exit code for errNoLab.
const codeNoLab = 3

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}
