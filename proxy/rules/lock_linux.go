package rules

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// StateFile is where, in a folder for all network namespaces, the state of that of the calling thread is kept.
func StateFile(dir string) (string, error) {
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "rules-"+strings.Trim(namespace, "net:[]")+".json"), nil
}

// Lock is held by who may change what a state file is about. The kernel lets go of it with the process. It is one of an
// open file (F_OFD_SETLK), about which others can ask without taking it for a moment themselves, as they must with flock(2).
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
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
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

// Holder is the process that has the lock; 0 when nobody has, or when it has not said yet who it is.
func Holder(stateFile string) int {
	f, err := os.Open(stateFile + ".lock")
	if err != nil {
		return 0
	}
	defer f.Close()
	conflict := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &conflict); err != nil || conflict.Type == unix.F_UNLCK {
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
