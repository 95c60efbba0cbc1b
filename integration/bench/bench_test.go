package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	playRole()
	os.Exit(m.Run())
}

// short is the least that proves something: not what the figures are, but that they are whole.
var short = options{seconds: 30 * time.Millisecond, rounds: 1, idle: 100, cold: true}

func TestBench(t *testing.T) {
	needSchedstat(t)
	for _, c := range []struct {
		name       string
		works, who []string
	}{
		{"everybody", []string{"connections", "idle"}, present(t, usual...)},
		{"every work", workNames(), present(t, "whyreset-sockets")},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := short
			o.works, o.contestants = c.works, c.who
			checkReport(t, measured[*report](t, o), len(c.works)*len(c.who))
		})
	}
}

func checkReport(t *testing.T, rep *report, rows int) {
	t.Run("every row is whole", func(t *testing.T) {
		if got := len(rep.Rows); got != rows {
			t.Fatalf("got %d rows, want %d: each work through each contestant", got, rows)
		}
		for _, r := range rep.Rows {
			if len(r.Samples) != 1 || r.CPU < 0 || r.Path < r.CPU || r.Machine < 0 || r.RSS <= 0 {
				t.Errorf("%s through %s: got %+v, want processor time and memory from 1 sample", r.Work, r.Contestant, r)
			}
			if idle := r.Rate == 0; idle != r.job.idle() {
				t.Errorf("%s through %s: got %f per second, want 0: %t", r.Work, r.Contestant, r.Rate, r.job.idle())
			}
			if r.job.idle() && r.Kernel*1e6 < float64(2*short.idle*socketBytes) {
				t.Errorf("%s through %s: got %f MB of the kernel's, want room for two sockets of each of %d connections", r.Work, r.Contestant, r.Kernel, short.idle)
			}
			if busy := r.CPU > 0; !busy && !r.job.idle() {
				t.Errorf("%s through %s: got no processor time", r.Work, r.Contestant)
			}
			if ordered := 0 < r.P50 && r.P50 <= r.P99 && r.P99 <= r.P999; ordered != r.job.latency {
				t.Errorf("%s through %s: got p50 %f, p99 %f and p99.9 %f, want 0 < p50 <= p99 <= p99.9: %t",
					r.Work, r.Contestant, r.P50, r.P99, r.P999, r.job.latency)
			}
			if self := (ratio{1, 1, 1}); r.Contestant == rep.Base && !r.job.idle() && (*r.RateRatio != self || *r.CPURatio != self) {
				t.Errorf("%s: got ratios %v and %v of the reference to itself, want 1", r.Work, r.RateRatio, r.CPURatio)
			}
			if rep.Versions[r.Contestant] == "" {
				t.Errorf("got no version of %s", r.Contestant)
			}
		}
	})
	t.Run("every row is printed", func(t *testing.T) {
		var table bytes.Buffer
		if err := rep.print(&table); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", &table)
		// What it is and who is left out, nothing and headings, twice the latter.
		want := 3 + len(rep.Left) + len(rep.Rows)
		if len(rep.Targets) > 0 {
			want += 2 + len(rep.Targets)
		}
		if got := strings.Count(table.String(), "\n"); got != want {
			t.Errorf("got %d lines, want %d", got, want)
		}
	})
	t.Run("JSON holds the rows", func(t *testing.T) {
		text, err := json.Marshal(rep)
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ Rows []map[string]any }
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"work", "unit", "contestant", "rate", "p50_us", "p99_us", "p999_us", "cpu_us", "path_us", "machine_us",
			"rss_mb", "kernel_mb", "rate_ratio", "p99_ratio", "cpu_ratio", "path_ratio", "samples"} {
			if len(back.Rows) != len(rep.Rows) || back.Rows[0][key] == nil {
				t.Errorf("got no %s in %s", key, text)
			}
		}
	})
}

func TestTransparent(t *testing.T) {
	needSchedstat(t)
	who := present(t, "whyreset-sockets", "haproxy")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=command -transparent -json -seconds 0.03 -rounds 1 -idle 100 -works connections,down-1,idle -contestants "+
		strings.Join(who, ","))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() == codeNoLab {
		t.Skip(complaint.String()) // where it must not be, the child has failed in another way
	}
	if err != nil {
		t.Fatalf("%v: %s", err, &complaint)
	}
	var rep struct {
		Place string
		Rows  []struct {
			Work, Contestant string
			CPU              float64 `json:"cpu_us"`
			RSS              float64 `json:"rss_mb"`
		}
	}
	if err := json.Unmarshal(out, &rep); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, want := len(rep.Rows), 3*len(who); got != want || rep.Place != "transparent" {
		t.Fatalf("got %d rows of place %q, want %d of transparent: %s", got, rep.Place, want, out)
	}
	for _, r := range rep.Rows {
		if busy := r.CPU > 0; r.RSS <= 0 || !busy && r.Work != "idle" {
			t.Errorf("%s through %s: got %+v, want processor time and memory", r.Work, r.Contestant, r)
		}
	}
}

func TestSyscalls(t *testing.T) {
	needSchedstat(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(err)
	}
	o := short
	o.syscalls, o.works, o.contestants = true, []string{"connections"}, present(t, "whyreset-sockets")
	for _, r := range measured[*calls](t, o).Rows {
		// One for each connection at the least; waits may be fewer.
		for _, name := range []string{"accept4", "connect", "close"} {
			if r.Each[name] < 0.9 {
				t.Errorf("got %.2f %s a connection through %s, want 1 or more; in all %v", r.Each[name], name, r.Contestant, r.Each)
			}
		}
	}
}

func TestChoice(t *testing.T) {
	for _, c := range []struct {
		name string
		o    options
		want string
	}{
		{"a work that is none", options{works: []string{"connections", "nothing"}}, "no work is called nothing"},
		{"a contestant that is none", options{contestants: []string{"nobody"}}, "no contestant is called nobody"},
		{"more connections than files may be open", options{idle: 1 << 30, rounds: 1, works: []string{"idle"}, contestants: []string{"io.copy"}}, "raise the hard limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			needSchedstat(t)
			if _, err := run(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

// measured runs all that o asks for, and sees to it that nobody is left behind.
func measured[R result](t *testing.T, o options) R {
	t.Helper()
	rep, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// Those that were started as ours have been waited for.
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("got child %d and %v, want none left", pid, err)
	}
	return rep.(R)
}

func needSchedstat(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("processor time cannot be measured here: ", err)
	}
}

// present are those of the contestants that can compete here.
func present(t *testing.T, names ...string) []string {
	t.Helper()
	found, left, err := entriesFor(names, "", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range left {
		t.Log("left out: ", why)
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(why, name+":") })
	}
	if len(found) == 0 {
		t.Skip("nobody can compete: ", left)
	}
	return names
}
