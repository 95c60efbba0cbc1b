package rules_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"whyreset/proxy/rules"
)

func TestLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run", "rules.json")
	if got := rules.Holder(file); got != 0 {
		t.Errorf("got holder %d before anybody was there", got)
	}
	lock, err := rules.NewLock(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := rules.Holder(file); got != os.Getpid() {
		t.Errorf("got holder %d, want this process, %d", got, os.Getpid())
	}
	_, err = rules.NewLock(file)
	var held *rules.HeldError
	if !errors.As(err, &held) || held.Process != os.Getpid() || held.StateFile != file {
		t.Errorf("a second lock: got %v, want that process %d has it", err, os.Getpid())
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	if got := rules.Holder(file); got != 0 {
		t.Errorf("got holder %d after the release", got)
	}
	// Who only looks is in nobody's way.
	stop := make(chan struct{})
	var lookers sync.WaitGroup
	lookers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				rules.Holder(file)
			}
		}
	})
	for range 1000 {
		lock, err := rules.NewLock(file)
		if err != nil {
			t.Errorf("a lock beside somebody who looks: %v", err)
			break
		}
		lock.Release()
	}
	close(stop)
	lookers.Wait()
}
