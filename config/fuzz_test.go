package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// FuzzFile reads any bytes as a file. Either every mistake is told on one
// printable line, in the order of lines, or what was read can be written and
// read again to the same effect.
func FuzzFile(f *testing.F) {
	for _, dir := range []string{"wrong", "right"} {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			f.Fatalf("got files %q and error %v, want some to begin with", files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(DefaultYAML()))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, origins, err := readText(data)
		if err != nil {
			checkError(t, err)
			return
		}
		text := Show(cfg, origins, true)
		again, _, err := readText([]byte(text))
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, text)
		}
		sameText(t, Show(again, nil, false), Show(cfg, nil, false))
		if changes := Diff(cfg, again); len(changes) != 0 {
			t.Errorf("got changes %v, want none", changes)
		}
	})
}

func readText(data []byte) (*Config, Origins, error) {
	l := newLayer()
	parseFile(l, "f", data, everything)
	return assemble(Source{}, l, everything)
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) == 0 {
		t.Fatalf("got %T %v, want an *Error with problems", err, err)
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != len(all.Problems) {
		t.Errorf("got %d lines for %d problems:\n%v", got, len(all.Problems), err)
	}
	for _, p := range all.Problems {
		if p.What == "" || p.At.Kind != FromFile {
			t.Errorf("got %+v, want what is wrong and in which line", p)
		}
		if strings.ContainsFunc(p.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("got %q, want nothing that a terminal obeys", p.String())
		}
	}
	if !slices.IsSortedFunc(all.Problems, func(a, b Problem) int { return a.At.Line - b.At.Line }) {
		t.Errorf("got another order than that of lines:\n%v", err)
	}
}

// FuzzForward holds --forward to the same: a mistake is told, or the listener
// can be written and read again.
func FuzzForward(f *testing.F) {
	for _, text := range []string{"15432=db:5432", ":1=db", "[::1]:80=[2001:db8::5]", "1=2", "1=:2", "=", "0=0", "[=]", "-1=-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, _, err := load(Source{Flags: parsed(t, "--forward", text)}, nowhere, everything)
		if err != nil {
			var all *Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("got %T %v, want an *Error with problems", err, err)
			}
			return
		}
		l := cfg.Listeners[0]
		again, _, err := load(Source{Flags: parsed(t, "--forward", l.Address+"="+l.Upstream)}, nowhere, everything)
		if err != nil {
			t.Fatalf("%v\nof %+v", err, l)
		}
		if again.Listeners[0] != l {
			t.Errorf("got %+v, want %+v", again.Listeners[0], l)
		}
	})
}
