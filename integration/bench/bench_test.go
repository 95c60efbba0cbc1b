package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	playRole()
	os.Exit(m.Run())
}

// TestBench runs everything for a short time: that the figures are whole, not what they are.
func TestBench(t *testing.T) {
	if text := missing(false); text != "" {
		t.Skip(text)
	}
	rep, err := run(t.Context(), false, 100*time.Millisecond, 1)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := rep.print(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &table)
	t.Run("every row is whole", func(t *testing.T) {
		if got, want := len(rep.Rows), 3*3; got != want {
			t.Fatalf("got %d rows, want %d", got, want)
		}
		for _, r := range rep.Rows {
			if r.Rate <= 0 || r.CPU <= 0 || r.RateRatio <= 0 || r.CPURatio <= 0 || len(r.Samples) != 1 {
				t.Errorf("%s through %s: got %+v, want a rate, processor time and ratios above 0 from 1 sample", r.Work, r.Contestant, r)
			}
			if ordered := 0 < r.P50 && r.P50 <= r.P99; ordered != r.latency {
				t.Errorf("%s through %s: got p50 %f and p99 %f, want 0 < p50 <= p99: %t", r.Work, r.Contestant, r.P50, r.P99, r.latency)
			}
			if r.Contestant == reference && (r.RateRatio != 1 || r.CPURatio != 1) {
				t.Errorf("%s: got ratios %f and %f of the reference to itself, want 1", r.Work, r.RateRatio, r.CPURatio)
			}
			if rep.Versions[r.Contestant] == "" {
				t.Errorf("got no version of %s", r.Contestant)
			}
		}
	})
	t.Run("every row is printed", func(t *testing.T) {
		if got, want := strings.Count(table.String(), "\n"), 3+len(rep.Rows); got != want {
			t.Errorf("got %d lines, want %d: what it is, nothing, headings and the rows", got, want)
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
		for _, key := range []string{"work", "unit", "contestant", "rate", "p50_us", "p99_us", "cpu_us", "rate_ratio", "cpu_ratio", "samples"} {
			if len(back.Rows) != len(rep.Rows) || back.Rows[0][key] == nil {
				t.Errorf("got no %s in %s", key, text)
			}
		}
	})
	t.Run("no child is left", func(t *testing.T) {
		// Those that were started as ours have been waited for.
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			t.Errorf("got child %d and %v, want none", pid, err)
		}
	})
}
