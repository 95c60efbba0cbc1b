package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	playRole()
	seconds := flag.Float64("seconds", 1, "how long each work lasts through each contestant in each round")
	rounds := flag.Int("rounds", 5, "how often all is measured; medians are told")
	asJSON := flag.Bool("json", false, "print one JSON object instead of a table")
	flag.Parse()
	if flag.NArg() > 0 || !(*seconds > 0) || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "bench: -seconds must be above 0 and -rounds at least 1, and nothing else is taken")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	rep, err := run(ctx, time.Duration(*seconds*float64(time.Second)), *rounds, os.Stderr)
	cancel()
	if err == nil && *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(rep)
	} else if err == nil {
		err = rep.print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run starts everything, measures, and stops everything, whatever happens. It tells progress how far it is.
func run(ctx context.Context, each time.Duration, rounds int, progress io.Writer) (rep *report, err error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("processor time is read from Linux's /proc, and this is %s", runtime.GOOS)
	}
	// The kernel kills our children when the thread that started them ends, so it must not end before us.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	dir, err := os.MkdirTemp("", "whyreset-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	crew := &crew{dir: dir}
	defer crew.stop()
	contestants, err := crew.assemble(ctx)
	if err != nil {
		return nil, err
	}
	rep, err = newReport(contestants, each, rounds)
	if err != nil {
		return nil, err
	}
	// One round that does not count: whoever starts cold would look slow.
	for round := range rounds + 1 {
		length := each
		if round == 0 {
			length = each / 5
		}
		fmt.Fprintf(progress, "round %d of %d\n", round, rounds)
		for w, work := range works {
			for i := range contestants {
				// Nobody is always first, or always behind the same neighbour.
				c := contestants[(i+round+w)%len(contestants)]
				s, err := crew.measure(ctx, c, work, length)
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", work.name, c.name, err)
				}
				if round > 0 {
					rep.add(c, work, s)
				}
			}
		}
	}
	rep.conclude()
	return rep, nil
}
