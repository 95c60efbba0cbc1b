package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"whyreset/proxy/kernel"
)

// isFile says whether records go to a file of that name.
func isFile(output string) bool { return output != "" && output != "stdout" && output != "stderr" }

// log looks whether the records can be written, without making the file.
func (e *examiner) log(context.Context) {
	out := e.Config.Log.Output
	f := Finding{ID: "log", Area: Log, Level: OK, What: "records go to " + out}
	if isFile(out) {
		if err := mayAppend(out); err != nil {
			f.Level, f.What = Fail, fmt.Sprintf("records cannot go to %s: %v", out, err)
			f.Why, f.Do = "the proxy does not start", fmt.Sprintf("make the folder, and let user %d write there; or choose another log.output", os.Geteuid())
		}
	}
	e.add(f)
}

func mayAppend(path string) error {
	// Not to block: opening a FIFO that nobody reads would wait for a reader.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	if err == nil {
		return f.Close()
	}
	if !os.IsNotExist(err) {
		return plain(err)
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("folder %s: %w", dir, plain(err))
	}
	if errno := kernel.MayWrite(dir); errno != 0 {
		return fmt.Errorf("folder %s: %w", dir, errno)
	}
	return nil
}

// plain is the reason without the path, which is said already.
func plain(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}
