package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace with one thread of its own that never leaves it. Processes are started from that
// thread, so that the kernel ends them with it (PR_SET_PDEATHSIG is about the thread): when the namespace is closed, and
// also when this process is killed.
type namespace struct {
	orders chan func()
	quit   chan struct{}
	gone   chan struct{} // closed when the thread is about to end

	mu     sync.RWMutex // held for reading while handle is in use
	handle netns.NsHandle
	closed bool
}

var errClosed = errors.New("the lab was closed")

func newNamespace() (*namespace, error) {
	ns := &namespace{orders: make(chan func()), quit: make(chan struct{}), gone: make(chan struct{}), handle: netns.None()}
	ready := make(chan error)
	go offMainThread(func() { ns.hold(ready) })
	if err := <-ready; err != nil {
		return nil, err
	}
	return ns, nil
}

// hold makes the namespace and carries out orders in it. It returns with the thread still locked and so ends it: a
// thread that has been in a namespace of ours is not given to anyone else.
func (ns *namespace) hold(ready chan<- error) {
	defer close(ns.gone)
	handle, err := netns.New()
	if err != nil {
		ready <- unavailable("unshare(CLONE_NEWNET)", err)
		return
	}
	ns.handle = handle
	ready <- nil
	for {
		select {
		case order := <-ns.orders:
			order()
		case <-ns.quit:
			return
		}
	}
}

// close lets go of the namespace. The kernel removes it when the last socket in it is closed as well.
func (ns *namespace) close() error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.closed {
		return nil
	}
	ns.closed = true
	close(ns.quit)
	<-ns.gone
	return ns.handle.Close()
}

// start starts the command from the namespace's own thread.
func (ns *namespace) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	err := errClosed
	done := make(chan struct{})
	select {
	case ns.orders <- func() { defer close(done); err = cmd.Start() }:
		<-done
	case <-ns.quit:
	}
	return err
}

// do runs fn on a thread that is in the namespace for as long as fn runs.
func (ns *namespace) do(fn func() error) error {
	err := errors.New("the function did not return: it ended its goroutine")
	done := make(chan struct{})
	go offMainThread(func() {
		defer close(done)
		leave, enterErr := ns.enter()
		if enterErr != nil {
			err = enterErr
			return
		}
		defer leave()
		err = fn()
	})
	<-done
	return err
}

// enter brings the current thread, which is locked, into the namespace. If leave cannot bring it back the thread stays
// locked, and dies with its goroutine.
func (ns *namespace) enter() (leave func(), err error) {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	if ns.closed {
		return nil, errClosed
	}
	before, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("the thread's own network namespace: %w", err)
	}
	if err := netns.Set(ns.handle); err != nil {
		before.Close()
		return nil, fmt.Errorf("setns: %w", err)
	}
	return func() {
		if netns.Set(before) == nil {
			runtime.UnlockOSThread()
		}
		before.Close()
	}, nil
}

// offMainThread locks the goroutine it is called in to its thread and runs fn. Whether to unlock is for fn to decide.
//
// It never uses the process's first thread: /proc/self/net is the view of that one, whoever reads it, and it is the one
// that the runtime cannot end.
func offMainThread(fn func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		fn()
		return
	}
	// While this goroutine holds the first thread no other goroutine can be on it.
	locked := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(locked)
		fn()
	}()
	<-locked
	runtime.UnlockOSThread()
}
