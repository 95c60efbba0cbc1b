package replay

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The public captures are not part of the project: they stand beside it where the project is developed.
const publicCaptures = "../../../shared/captures/public"

// TestReference compares with a table that a separate parser made of the public captures, one row per connection with a RST.
func TestReference(t *testing.T) {
	rows := readReference(t)
	columns := []struct {
		name string
		want string // the table's column
		got  func(*Connection) string
	}{
		{"client", "client", func(c *Connection) string { return endpoint(c.Client) }},
		{"server", "server", func(c *Connection) string { return endpoint(c.Server) }},
		{"first frame", "first_frame", func(c *Connection) string { return strconv.Itoa(c.FirstFrame) }},
		{"resetter", "resetter", func(c *Connection) string { return c.Reset.Resetter }},
		{"frame", "rst_frame", func(c *Connection) string { return strconv.Itoa(c.Reset.Frame) }},
		{"flags", "rst_flags", func(c *Connection) string { return c.Reset.Flags }},
		{"rst_from_client", "n_rst_c", func(c *Connection) string { return strconv.Itoa(c.Reset.FromClient) }},
		{"rst_from_server", "n_rst_s", func(c *Connection) string { return strconv.Itoa(c.Reset.FromServer) }},
		{"stage", "phase", func(c *Connection) string { return c.Reset.Stage }},
		{"ttl_delta", "ttl_delta_last", func(c *Connection) string { return optional(c.Reset.TTLDelta) }},
		{"seq_delta", "seq_vs_snd_nxt", func(c *Connection) string { return optional(c.Reset.SeqDelta) }},
		{"continued", "conn_continued", func(c *Connection) string { return bit(c.Reset.Continued) }},
		{"one-sided", "one_sided", func(c *Connection) string { return bit(c.OneSided()) }},
		{"cut", "truncated", func(c *Connection) string { return bit(c.Cut) }},
	}
	exact := make([]int, len(columns))
	files := make(map[string][]*Connection)
	for _, row := range rows {
		if _, read := files[row["file"]]; !read {
			files[row["file"]] = connectionsOf(t, filepath.Join(publicCaptures, row["file"]))
		}
		var found *Connection
		for _, c := range files[row["file"]] {
			if c.Reset != nil && strconv.Itoa(c.Reset.Frame) == row["rst_frame"] {
				found = c
			}
		}
		if found == nil {
			t.Errorf("%s: no connection has its first RST in frame %s", row["file"], row["rst_frame"])
			continue
		}
		for i, c := range columns {
			if got := c.got(found); got == row[c.want] {
				exact[i]++
			} else {
				t.Logf("%s, frame %s: %s is %s, want %s", row["file"], row["rst_frame"], c.name, got, row[c.want])
			}
		}
	}
	for i, c := range columns {
		percent := 100 * float64(exact[i]) / float64(len(rows))
		t.Logf("%s: %d of %d exact, %.1f %%", c.name, exact[i], len(rows), percent)
		if percent < 99 {
			t.Errorf("%s: got %.1f %% of the rows exact, want 99 %%", c.name, percent)
		}
	}

	known := make(map[string]bool)
	for _, row := range rows {
		known[row["file"]+" "+row["rst_frame"]] = true
	}
	for file, connections := range files {
		for _, c := range connections {
			if c.Reset != nil && !known[file+" "+strconv.Itoa(c.Reset.Frame)] {
				t.Errorf("%s: a connection with its first RST in frame %d that the table does not have", file, c.Reset.Frame)
			}
		}
	}
}

// readReference gives the rows of the table by the names of its columns.
func readReference(t *testing.T) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(filepath.Join(publicCaptures, "reference.tsv"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the public captures are not here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan()
	names := strings.Split(lines.Text(), "\t")
	for lines.Scan() {
		row := make(map[string]string, len(names))
		for i, value := range strings.Split(lines.Text(), "\t") {
			row[names[i]] = value
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil || len(rows) == 0 {
		t.Fatalf("got %d rows, %v", len(rows), err)
	}
	return rows
}

func connectionsOf(t *testing.T, path string) (all []*Connection) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	for {
		frame, err := r.Next()
		if err != nil {
			if err != io.EOF && !errors.As(err, new(*FormatError)) {
				t.Errorf("%s: %v", path, err)
			}
			break
		}
		tracker.Add(&frame)
	}
	tracker.Flush()
	return all
}

func endpoint(a netip.AddrPort) string { return a.String() }

func optional[T int | int32](n *T) string {
	if n == nil {
		return "NA"
	}
	return strconv.Itoa(int(*n))
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
