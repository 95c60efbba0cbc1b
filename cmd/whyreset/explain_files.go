package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"whyreset/diagnose/replay"
)

// explainFile is a file as it was named.
type explainFile struct {
	name    string // as it is told
	info    fs.FileInfo
	once    io.Reader // of what can be read only once, as a pipe; else nil
	capture bool      // what it turned out to be, as far as it can be read twice
	first   time.Time // of a capture's first frame
	spool   *os.File  // holds what was read of once, to be read again; nil: that will not be
	spooled bool      // once was read
	series  string    // the name without its digits: what the parts of one capture have in common
}

// findFiles looks at what was named, and tells what cannot be explained. It opens no more than one file at a time.
func findFiles(names []string, stdin io.Reader) (files []*explainFile, problems []error) {
	for _, name := range names {
		f, err := findFile(name, stdin)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		files = append(files, f)
	}
	// The parts of a capture come together, in the order of their times.
	order := map[string]int{}
	for i, f := range files {
		if _, known := order[f.series]; !known {
			order[f.series] = i
		}
	}
	slices.SortStableFunc(files, func(a, b *explainFile) int {
		return cmp.Or(cmp.Compare(order[a.series], order[b.series]), a.first.Compare(b.first))
	})
	return files, problems
}

func findFile(name string, stdin io.Reader) (*explainFile, error) {
	if name == "-" {
		f := &explainFile{name: "standard input", series: "-", once: stdin}
		if file, ok := stdin.(*os.File); ok {
			f.info, _ = file.Stat() // without it nobody notices when the output is the same file
		}
		return f, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, notRead(name, err)
	}
	f := &explainFile{name: name, info: info, series: series(name)}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, fmt.Errorf("%s is a directory: name the files in it", name)
	case !mode.IsRegular():
		file, err := os.Open(name)
		if err != nil {
			return nil, notRead(name, err)
		}
		f.once = file
		return f, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, notRead(name, err)
	}
	defer file.Close()
	in, err := replay.Open(file)
	if err != nil {
		return nil, describe(name, err)
	}
	if in.Capture != nil {
		f.capture = true
		if frame, err := in.Capture.Next(); err == nil { // an error is told when the file is read
			f.first = frame.At
		}
	}
	return f, nil
}

// notRead names the file once.
func notRead(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// describe puts the name before what is wrong with the file.
func describe(name string, err error) error {
	var other *replay.OtherFormatError
	if errors.Is(err, replay.ErrEmpty) || errors.As(err, &other) {
		return fmt.Errorf("%s %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// series is the path without the digits of its last element.
func series(path string) string {
	dir, base := filepath.Split(path)
	return dir + strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, base)
}

// open gives the file from its beginning, counting what is read of it. The reading ends with the context.
func (f *explainFile) open(ctx context.Context, read *atomic.Int64) (in *replay.Input, close func(), err error) {
	var from io.Reader
	close = func() {}
	switch {
	case f.once == nil:
		file, err := os.Open(f.name)
		if err != nil {
			return nil, nil, notRead(f.name, err)
		}
		from, close = untilDone{ctx, file}, func() { file.Close() }
	case f.spool == nil:
		from = readAhead(ctx, f.once)
	case !f.spooled:
		f.spooled = true
		from = io.TeeReader(readAhead(ctx, f.once), f.spool)
	default:
		if _, err := f.spool.Seek(0, io.SeekStart); err != nil {
			return nil, nil, err
		}
		from = untilDone{ctx, f.spool}
	}
	if in, err = replay.Open(counted{from, read}); err != nil {
		close()
		return nil, nil, describe(f.name, err)
	}
	return in, close, nil
}

// keep makes room for what can be read only once, in a file that nobody else sees and nobody must remove.
func (f *explainFile) keep() (err error) {
	if f.once == nil {
		return nil
	}
	if f.spool, err = os.CreateTemp("", "whyreset-*"); err != nil {
		return fmt.Errorf("%s is to be read twice: %w", f.name, err)
	}
	return os.Remove(f.spool.Name())
}

// counted adds to a number what is read.
type counted struct {
	io.Reader
	bytes *atomic.Int64
}

func (r counted) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.bytes.Add(int64(n))
	return n, err
}

// untilDone is a reader that reads no more when its context is done.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r untilDone) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// lastWords is how long a pipe is still read when the context is done: whoever writes to it was probably interrupted as well, and has
// its end to write.
const lastWords = 500 * time.Millisecond

// readAhead reads in a goroutine of its own, so that a reader of a pipe on which nothing comes can be stopped. The goroutine stays in
// its read until something comes, or the program ends.
func readAhead(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	go copyToPipe(w, in)
	context.AfterFunc(ctx, func() {
		time.AfterFunc(lastWords, func() { w.CloseWithError(ctx.Err()) })
	})
	return r
}

func copyToPipe(w *io.PipeWriter, in io.Reader) {
	_, err := io.Copy(w, in)
	w.CloseWithError(err)
}
