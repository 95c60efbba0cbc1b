package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The captures are not part of the project: they stand beside it where the project is developed.
const captures = "../../../shared/captures"

// explainedRecord is what the tests read of a record.
type explainedRecord struct {
	Event struct {
		Action, Code, ID string
		Sequence         int
	}
	Source, Destination struct {
		IP    string
		Port  int
		Bytes int
	}
	Whyreset struct {
		File    string
		Verdict struct{ Cause, Confidence, Side string }
		Earlier *struct{ Cause, Confidence, Version string }
		Capture map[string]any
	}
}

// explained runs the command and gives its records.
func explained(t *testing.T, args ...string) (records []explainedRecord, code int, complaints string) {
	t.Helper()
	var out, said bytes.Buffer
	code = run(append([]string{"explain", "--format", "json"}, args...), os.Stdin, &out, &said)
	for line := range bytes.Lines(out.Bytes()) {
		var r explainedRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %v in %s", args, err, line)
		}
		records = append(records, r)
	}
	return records, code, said.String()
}

// Every capture is explained, each for itself; only a damaged one is an error, and its whole part is explained.
func TestExplainCaptures(t *testing.T) {
	for _, dir := range []string{"lab", "public"} {
		files, err := filepath.Glob(filepath.Join(captures, dir, "*.pcap*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Skip("the captures are not here: nothing in ", captures)
		}
		for _, path := range files {
			records, code, said := explained(t, path)
			damaged := strings.Contains(said, "can be read up to byte")
			if (code == exitFailure) != damaged || code != exitOK && code != exitFailure {
				t.Errorf("%s: got exit code %d, and was told: %s", path, code, said)
			}
			if said != "" {
				t.Logf("%s: %d records; %s", filepath.Base(path), len(records), said)
			}
			seen := map[string]bool{}
			for _, r := range records {
				if r.Whyreset.File != path || r.Event.Code == "" || r.Event.Code != r.Whyreset.Verdict.Cause || seen[r.Event.ID] {
					t.Errorf("%s: got record %+v, want the file, a cause and an ID of its own", path, r)
				}
				seen[r.Event.ID] = true
			}
		}
	}
}

// TestExplainReference holds whyreset.capture against a table that a separate parser made of the public captures.
func TestExplainReference(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(captures, "public", "reference.tsv"))
	if err != nil {
		t.Skip("the captures are not here: ", err)
	}
	lines := strings.Split(strings.TrimRight(string(table), "\n"), "\n")
	names := strings.Split(lines[0], "\t")
	records := map[string]map[int]explainedRecord{} // by file and frame
	exact, rows := map[string]int{}, 0
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, value := range strings.Split(line, "\t") {
			row[names[i]] = value
		}
		rows++
		file := row["file"]
		if records[file] == nil {
			records[file] = map[int]explainedRecord{}
			all, _, _ := explained(t, filepath.Join(captures, "public", file))
			for _, r := range all {
				if r.Whyreset.Capture != nil {
					records[file][int(r.Whyreset.Capture["frame"].(float64))] = r
				}
			}
		}
		frame, _ := strconv.Atoi(row["rst_frame"])
		r, found := records[file][frame]
		if !found {
			t.Errorf("%s: no record of the connection whose first RST is frame %d", file, frame)
			continue
		}
		delete(records[file], frame)
		got := captureFields(r)
		for _, c := range []struct{ field, column string }{
			{"client", "client"}, {"server", "server"}, {"resetter", "resetter"}, {"frame", "rst_frame"}, {"flags", "rst_flags"}, {"rst_from_client", "n_rst_c"},
			{"rst_from_server", "n_rst_s"}, {"stage", "phase"}, {"ttl_delta", "ttl_delta_last"}, {"seq_delta", "seq_vs_snd_nxt"}, {"continued", "conn_continued"},
		} {
			if got[c.field] == row[c.column] {
				exact[c.field]++
			} else {
				t.Logf("%s, frame %d: %s is %s, want %s", file, frame, c.field, got[c.field], row[c.column])
			}
		}
	}
	for field, n := range exact {
		t.Logf("%-15s %d of %d exact", field, n, rows)
		if 100*n < 99*rows {
			t.Errorf("%s: got %d of %d rows exact, want 99 %%", field, n, rows)
		}
	}
	for file, left := range records {
		for frame := range left {
			t.Errorf("%s: a record of a connection with its first RST in frame %d, which the table does not have", file, frame)
		}
	}
}

// captureFields writes the fields as the table does.
func captureFields(r explainedRecord) map[string]string {
	got := map[string]string{
		"client": endpoint(r.Source.IP, r.Source.Port), "server": endpoint(r.Destination.IP, r.Destination.Port),
		"ttl_delta": "NA", "seq_delta": "NA",
	}
	for name, value := range r.Whyreset.Capture {
		switch v := value.(type) {
		case float64:
			got[name] = strconv.FormatInt(int64(v), 10)
		case bool:
			got[name] = map[bool]string{false: "0", true: "1"}[v]
		default:
			got[name] = fmt.Sprint(v)
		}
	}
	return got
}

func endpoint(ip string, port int) string {
	if strings.Contains(ip, ":") {
		ip = "[" + ip + "]"
	}
	return ip + ":" + strconv.Itoa(port)
}
