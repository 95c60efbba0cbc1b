package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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
	sources := flag.Bool("sources", false, "measure what each source of evidence costs instead, whyreset against itself")
	asJSON := flag.Bool("json", false, "print one JSON object instead of a table")
	flag.Parse()
	if flag.NArg() > 0 || !(*seconds > 0) || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "bench: -seconds must be above 0 and -rounds at least 1, and nothing else is taken")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	rep, err := run(ctx, *sources, time.Duration(*seconds*float64(time.Second)), *rounds)
	if ctx.Err() != nil { // whatever it was that failed for it
		err = errors.New("stopped by a signal")
	}
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

// run starts everything, measures, and stops everything, whatever happens.
func run(ctx context.Context, sources bool, each time.Duration, rounds int) (*report, error) {
	if text := missing(sources); text != "" {
		return nil, fmt.Errorf("%s: this needs Linux, and the packages haproxy, nginx and libnginx-mod-stream", text)
	}
	// The kernel ends our children when the thread that started them ends, so it must not end before us.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "whyreset-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	crew := &crew{dir: dir, sources: sources}
	defer crew.stop()
	contestants, err := crew.assemble(ctx)
	if err != nil {
		return nil, err
	}
	rep, err := newReport(contestants, each, rounds)
	if err != nil {
		return nil, err
	}
	for round := range rounds + 1 {
		length := each
		if round == 0 { // does not count: whoever starts cold would look slow
			length = each / 5
		}
		for w := range works {
			if works[w].sources && !sources {
				continue
			}
			for i := range contestants {
				// Nobody is always first, or always behind the same neighbour.
				c := contestants[(i+round+w)%len(contestants)]
				s, err := crew.measure(ctx, c, w, length)
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", works[w].name, c.name, err)
				}
				if r := rep.row(c.name, works[w].name); round > 0 {
					r.Samples = append(r.Samples, s)
				}
			}
		}
	}
	rep.conclude()
	return rep, nil
}
