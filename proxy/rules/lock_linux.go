package rules

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// StateFile is where, in a folder for all network namespaces, the state of that of the calling thread is kept.
func StateFile(dir string) (string, error) {
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "rules-"+strings.Trim(namespace, "net:[]")+".json"), nil
}

// Lock is held by who may change what a state file is about. The kernel lets go of it with the process (flock).
type Lock struct{ file *os.File }

// HeldError says that another process has the lock.
type HeldError struct {
	Process   int // 0: not known
	StateFile string
}

func (e *HeldError) Error() string {
	who := "another process"
	if e.Process != 0 {
		who = fmt.Sprintf("process %d", e.Process)
	}
	return fmt.Sprintf("%s keeps the packet rules of this network namespace (%s)", who, e.StateFile)
}

// NewLock takes the lock, or fails at once with a *HeldError. The file it lies on stays: to remove it would let two
// processes lock two files of one name.
func NewLock(stateFile string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(stateFile), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(stateFile+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &HeldError{Process: holder(f), StateFile: stateFile}
		}
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{f}, nil
}

// Release lets go of the lock.
func (l *Lock) Release() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

// Holder is the process that has the lock; 0 when nobody has, or when that is not known.
func Holder(stateFile string) int {
	f, err := os.Open(stateFile + ".lock")
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	return holder(f)
}

func holder(f *os.File) int {
	text, _ := io.ReadAll(io.LimitReader(f, 20))
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
