package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// state is what may have been put, written before it is: what a plan is going to do, and what was there before.
type state struct {
	By      string    // who put it, for people
	Since   time.Time // when
	Plan    string    // Plan.Digest
	Applied bool      // all of it has been put
	Print   string    // of the table then; see look

	Boot       string         // boot ID: nothing that was put outlives the kernel
	Namespace  string         // the network namespace it was put in
	Cookie     uint64         // which namespace of that name: names are used again, this number never (SO_NETNS_COOKIE)
	Redirected []uint16       `json:",omitempty"` // ports of listeners that connections are redirected to
	Table      string         // of packet rules
	Routing    *routing       `json:",omitempty"`
	Sysctls    []changedValue `json:",omitempty"`
}

// routing is a routing table with one route, and the rules that lead there.
type routing struct {
	Mark, Table uint32
	Families    []int // 4, 6
}

// changedValue is a kernel parameter that is set.
type changedValue struct {
	Key, Set, Was string
	Along         map[string]string `json:",omitempty"` // other parameters that the kernel changes together with it, as they were
}

// readState returns nil when there is none.
func readState(file string) (*state, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("state file %s: %w", file, err)
	}
	return s, nil
}

// write replaces the file as a whole, on disk before it returns.
func (s *state) write(file string) error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all is well
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

func (r *routing) equal(other *routing) bool {
	if r == nil || other == nil {
		return r == other
	}
	return r.Mark == other.Mark && r.Table == other.Table && slices.Equal(r.Families, other.Families)
}
