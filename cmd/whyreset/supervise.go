package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"whyreset/config"
	"whyreset/proxy"
	"whyreset/proxy/kernel"
	"whyreset/proxy/rules"
)

// runWithRules runs the proxy in a process of its own and keeps the packet rules: they are applied once it listens, and
// removed when it has ended, in whatever way. Its exit code is returned.
//
// If this process is killed, the proxy goes on, since to end it would cut what it carries; the rules stay until the next
// start, which sends new connections direct before it does anything else.
func runWithRules(cmd *cobra.Command) error {
	cfg, plan, err := loadPlan(cmd, rules.ByRun)
	if err != nil {
		return err
	}
	k, err := keep(cfg)
	if err != nil {
		return err
	}
	defer k.lock.Release()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := k.releaseLeft(cmd.Context(), cfg); err != nil {
		return err
	}
	w, err := startWorker(cmd, cfg)
	if err != nil {
		return err
	}
	if !w.listens(signals) {
		return errors.Join(w.status(), k.removeLeft(cmd.Context()))
	}
	if err := plan.Apply(cmd.Context(), k.file); err != nil {
		w.order(syscall.SIGTERM)
		<-w.ended
		return err
	}
	warnSysctls(cmd.ErrOrStderr(), plan)
	kernel.Confine(kernel.NetAdmin) // what is left of a privilege matters less here, where nobody's bytes are read
	k.attend(w, signals)
	removed := rules.Remove(context.WithoutCancel(cmd.Context()), k.file)
	if w.killed() {
		complain(cmd.ErrOrStderr(), fmt.Errorf("the proxy was ended by a %v; new connections go direct", w.process.ProcessState))
	}
	return errors.Join(removed, w.status())
}

// releaseLeft sends new connections direct that rules left by a crash would lead to nobody.
func (k *kept) releaseLeft(ctx context.Context, cfg *config.Config) error {
	state, err := rules.Status(k.file)
	if err != nil || state.Known && state.Past == "" {
		return errors.Join(err, rules.Release(ctx, k.file))
	}
	_, err = rules.Sweep(ctx, rules.DefaultTable, uint32(cfg.Rules.RouteTable))
	return err
}

// removeLeft removes what was left, after a start that failed, unless a proxy of that time still carries connections.
func (k *kept) removeLeft(ctx context.Context) error {
	if n, err := rules.Carried(k.file); err != nil || n > 0 {
		return err
	}
	return rules.Remove(ctx, k.file)
}

// attend passes signals on until the proxy has ended. Before it is told to stop, new connections are sent direct: it will
// take no more of them.
func (k *kept) attend(w *worker, signals <-chan os.Signal) {
	for {
		select {
		case <-w.ended:
			return
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				rules.Release(context.Background(), k.file) // else Remove will say what is the matter
			}
			w.order(sig)
		}
	}
}

// worker is the process of the proxy.
type worker struct {
	process *exec.Cmd
	ready   *os.File // says that it listens
	orders  *os.File // takes signals as bytes; its end tells the worker that this process has ended
	ended   chan struct{}
}

// startWorker starts this program once more, with --supervised, without CAP_NET_ADMIN unless the listeners need it, and as
// rules.user where that is another one.
func startWorker(cmd *cobra.Command, cfg *config.Config) (*worker, error) {
	ready, hisReady, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hisReady.Close()
	hisOrders, orders, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hisOrders.Close()
	w := &worker{ready: ready, orders: orders, ended: make(chan struct{})}
	w.process = &exec.Cmd{Path: "/proc/self/exe", Args: append(os.Args[:len(os.Args):len(os.Args)], "--"+supervisedFlag),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: cmd.ErrOrStderr(), ExtraFiles: []*os.File{hisReady, hisOrders}}
	_, permitted, errno := kernel.Held()
	if errno != 0 {
		return nil, fmt.Errorf("capabilities of this process: %w", errno)
	}
	lack := kernel.NetAdmin
	for _, n := range proxy.Needs(cfg) {
		if n.AnyOf&(permitted&^kernel.NetAdmin) == 0 {
			lack &^= n.AnyOf
		}
	}
	if user := cfg.Rules.User; user != 0 && user != os.Geteuid() {
		if os.Geteuid() != 0 {
			return nil, fmt.Errorf("rules.user is %d, and only root can run the proxy as another user: start it as root or as user %d", user, user)
		}
		const useful = kernel.NetBindService | kernel.NetAdmin | kernel.NetRaw | kernel.Perfmon | kernel.BPF
		runAs(w.process, user, permitted&useful&^lack)
	}
	if err := kernel.Without(lack, w.process.Start); err != nil {
		return nil, fmt.Errorf("starting the proxy: %w", err)
	}
	go func() {
		w.process.Wait()
		close(w.ended)
	}()
	return w, nil
}

// listens waits until the worker listens, or has ended without.
func (w *worker) listens(signals <-chan os.Signal) bool {
	said := make(chan bool, 1)
	go func() {
		_, err := io.ReadFull(w.ready, make([]byte, 1))
		said <- err == nil
	}()
	for {
		select {
		case yes := <-said:
			if !yes {
				<-w.ended
			}
			return yes
		case sig := <-signals:
			w.order(sig)
		}
	}
}

// order passes a signal on. It does not do so by kill(2): who stops a whole group of processes, as a terminal and systemd
// do, has signalled the worker too, which would take ours for the second one and reset its connections at once.
func (w *worker) order(sig os.Signal) {
	w.orders.Write([]byte{byte(sig.(syscall.Signal))})
}

func (w *worker) killed() bool {
	s, ok := w.process.ProcessState.Sys().(syscall.WaitStatus)
	return ok && s.Signaled()
}

// status is the worker's exit code, as a shell tells it.
func (w *worker) status() error {
	if s, ok := w.process.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return exitStatus(128 + int(s.Signal()))
	}
	return status(w.process.ProcessState.ExitCode())
}
