package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// The lab's captures have known causes. They stand beside the project where it is developed.
const labCaptures = "../../../shared/captures/lab"

type labRow struct {
	capture, outcome string
	accepted         []string
}

func readTruth(t *testing.T) (rows []labRow) {
	t.Helper()
	f, err := os.Open(filepath.Join(labCaptures, "truth.tsv"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the lab's captures are not here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan()
	for lines.Scan() {
		v := strings.Split(lines.Text(), "\t")
		rows = append(rows, labRow{v[0], v[1], strings.Split(v[2], "|")})
	}
	if err := lines.Err(); err != nil || len(rows) == 0 {
		t.Fatalf("got %d rows, %v", len(rows), err)
	}
	return rows
}

// judged is the verdict of a capture that is told by its name: of its harmful connections the first, else the first that ended.
func judged(connections []*Connection) (v diagnose.Verdict, harmful int) {
	for i, c := range connections {
		ev := c.Evidence()
		one := diagnose.Diagnose(&ev)
		if one.Phase == "" {
			if i == 0 {
				v = one
			}
			continue // nothing of it ended
		}
		if one.Harmful() {
			harmful++
		}
		if v.Cause == "" || v.Phase == "" || harmful == 1 && one.Harmful() {
			v = one
		}
	}
	return v, harmful
}

var actions = map[string][]diagnose.Action{
	"reset":   {diagnose.Reset},
	"refused": {diagnose.Refused, diagnose.Unreachable},
	"timeout": {diagnose.TimedOut},
}

// TestLab holds the verdict of each capture, from its packets alone, beside what was done.
func TestLab(t *testing.T) {
	count := map[cause.Strength][2]int{}
	for _, row := range readTruth(t) {
		if row.outcome == "-" {
			continue
		}
		t.Run(row.capture, func(t *testing.T) {
			v, harmful := judged(connectionsOf(t, filepath.Join(labCaptures, row.capture+".pcap")))
			right := false
			switch row.outcome {
			case "none":
				right = harmful == 0
			default:
				right = slices.Contains(row.accepted, v.Cause) && slices.Contains(actions[row.outcome], v.Action)
			}
			n := count[v.Confidence]
			if right {
				n[0]++
			} else {
				n[1]++
				t.Errorf("got %s %s (%s, %s, %q), want %s, one of %q", v.Confidence, v.Cause, v.Action, v.Impact, v.Sentence, row.outcome, row.accepted)
			}
			count[v.Confidence] = n
			t.Logf("%s %s side %s phase %s: %s; for %v; against %v; or %v", v.Confidence, v.Cause, v.Side, v.Phase, v.Sentence, v.For, v.Against, v.Alternatives)
		})
	}
	for s := cause.Conclusive; s >= cause.Possible; s-- {
		t.Logf("packets alone: %s: %d right, %d not", s, count[s][0], count[s][1])
	}
}

// labLog is what the observer's socket calls returned and what the tracepoints of the whole machine told.
type labLog struct {
	Observer []labCall           `json:"observer"`
	Kernel   [][]json.RawMessage `json:"kernel"`
}

type labCall struct {
	T      float64         `json:"t"`
	Ev     string          `json:"ev"`
	Res    json.RawMessage `json:"res"`
	State  string          `json:"state"`
	Probes uint8           `json:"probes"`
	Retr   uint32          `json:"total_retrans"`
	NotS   uint32          `json:"outqnsd"`
	OutQ   uint32          `json:"outq"`
	InQ    uint32          `json:"inq"`
	SndWnd uint32          `json:"snd_wnd"`
	RTT    uint32          `json:"rtt"`
	Acked  uint64          `json:"bytes_acked"`
	Recv   uint64          `json:"bytes_received"`
	AckAgo uint32          `json:"last_ack_recv"`
}

func seconds(t float64) time.Duration { return time.Duration(t * float64(time.Second)) }

// labShift is by how much the capture's clock is behind the log's: the log's first connect ended when the answer to the SYN came.
func labShift(c *Connection, log *labLog) time.Duration {
	for _, call := range log.Observer {
		if of, name, _ := strings.Cut(call.Ev, "."); name != "connect" || of != "obs" {
			continue
		}
		for _, o := range c.Evidence().Observations {
			if p, ok := o.What.(evidence.Packet); ok && p.From == evidence.Upstream {
				return o.At - seconds(call.T)
			}
		}
	}
	return 0
}

var labErrnos = map[string]evidence.Errno{"ECONNRESET": evidence.ECONNRESET, "EPIPE": evidence.EPIPE, "ETIMEDOUT": evidence.ETIMEDOUT, "ECONNREFUSED": evidence.ECONNREFUSED,
	"EHOSTUNREACH": evidence.EHOSTUNREACH, "ENETUNREACH": evidence.ENETUNREACH, "ECONNABORTED": evidence.ECONNABORTED, "EACCES": evidence.EACCES}

// withLog makes of a capture at the observer, and of its log, what a proxy in the observer's place would have seen of its leg to the
// upstream. A FIN that the log found together with the error behind it stands before that error.
func withLog(t *testing.T, c *Connection, log *labLog) evidence.Evidence {
	t.Helper()
	ev := c.Evidence()
	for i, o := range ev.Observations {
		switch w := o.What.(type) {
		case evidence.Packet:
			w.From, w.To = ourLeg(w.From), ourLeg(w.To)
			ev.Observations[i].What = w
		case evidence.Stream:
			w.From, w.To = ourLeg(w.From), ourLeg(w.To)
			ev.Observations[i].What = w
		case evidence.ICMP:
			w.About = ourLeg(w.About)
			ev.Observations[i].What = w
		case evidence.Baseline:
			w.Of = ourLeg(w.Of)
			ev.Observations[i].What = w
		}
		ev.Observations[i].Leg = evidence.Upstream
	}
	ev.OwnUp, ev.Client = c.Client, netip.AddrPort{}
	ev.Coverage.Sockets, ev.Coverage.Witness = evidence.Watched, evidence.Watched
	shift := labShift(c, log)
	var more []evidence.Observation
	add := func(at float64, w evidence.What) {
		more = append(more, evidence.Observation{At: seconds(at) + shift, Leg: evidence.Upstream, What: w})
	}
	ended, connected, fin := false, false, false
	var sent, got, lastSent, lastGot float64
	for _, call := range log.Observer {
		name, of := call.Ev, "obs"
		if i := strings.IndexByte(name, '.'); i >= 0 {
			of, name = name[:i], name[i+1:]
		}
		if of != "obs" && of != "c1" { // of several the second was cut
			continue
		}
		var word string
		var n float64
		_ = json.Unmarshal(call.Res, &word)
		_ = json.Unmarshal(call.Res, &n)
		errno, failed := labErrnos[word]
		switch {
		case strings.HasPrefix(name, "snap:after"), strings.HasPrefix(name, "snap:mid"):
			add(call.T, evidence.Snapshot{State: 7, Probes: call.Probes, TotalRetrans: call.Retr, NotSent: call.NotS, Outstanding: call.OutQ, Unread: call.InQ,
				SndWnd: call.SndWnd, MinRTT: time.Duration(call.RTT) * time.Microsecond, BytesAcked: call.Acked, BytesReceived: call.Recv,
				LastAckRecv: time.Duration(call.AckAgo) * time.Millisecond})
		case ended:
		case failed && name == "connect":
			add(call.T, evidence.Socket{Call: evidence.Connect, Saw: evidence.Error, Errno: errno})
			ended = true
		case name == "connect" && word == "OK":
			add(call.T, evidence.Socket{Call: evidence.Connect, Saw: evidence.Connected})
			connected = true
		case failed && connected && (errno != evidence.EPIPE || fin || name == "SO_ERROR"):
			add(call.T, evidence.Socket{Call: evidence.Recv, Saw: evidence.Error, Errno: errno})
			ended = true
		case word == "EOF" && !fin:
			add(call.T, evidence.Socket{Call: evidence.Recv, Saw: evidence.FIN})
			fin = true
		case n > 0 && strings.HasPrefix(name, "send"):
			sent, lastSent = sent+n, call.T
		case n > 0 && strings.HasPrefix(name, "recv"):
			got, lastGot = got+n, call.T
		}
	}
	end := 0.0
	if len(log.Observer) > 0 {
		end = log.Observer[len(log.Observer)-1].T
	}
	add(end, evidence.Transfer{In: uint64(got), Out: uint64(sent), LastIn: seconds(lastGot) + shift, LastOut: seconds(lastSent) + shift})
	more = append(more, evidence.Observation{At: seconds(end) + shift, Leg: evidence.Downstream,
		What: evidence.Transfer{In: uint64(sent), Out: uint64(got), LastIn: seconds(lastSent) + shift, LastOut: seconds(lastGot) + shift}})
	more = append(more, kernelOf(c, log, shift)...)
	ev.Observations = append(ev.Observations, more...)
	slices.SortStableFunc(ev.Observations, func(a, b evidence.Observation) int { return int(a.At - b.At) })
	return ev
}

func ourLeg(l evidence.Leg) evidence.Leg {
	if l == evidence.Downstream {
		return evidence.NoLeg
	}
	return l
}

func kernelOf(c *Connection, log *labLog, shift time.Duration) (out []evidence.Observation) {
	for _, event := range log.Kernel {
		var at float64
		var kind, text string
		if len(event) != 3 || json.Unmarshal(event[0], &at) != nil || json.Unmarshal(event[1], &kind) != nil || json.Unmarshal(event[2], &text) != nil || kind != "SEND_RESET" {
			continue
		}
		ends, rest, _ := strings.Cut(text, " ")
		from, to, _ := strings.Cut(ends, "->")
		k := evidence.Kernel{Sent: true}
		for _, field := range strings.Fields(rest) {
			if v, ok := strings.CutPrefix(field, "reason="); ok {
				k.Reason = v
			}
			if v, ok := strings.CutPrefix(field, "state="); ok {
				k.State = map[string]uint8{"TCP_ESTABLISHED": 1, "TCP_CLOSE": 7, "TCP_LISTEN": 10, "TCP_TIME_WAIT": 6, "TCP_CLOSE_WAIT": 8, "TCP_FIN_WAIT1": 4, "TCP_FIN_WAIT2": 5}[v]
			}
		}
		port := from[strings.LastIndexByte(from, ':')+1:]
		switch {
		case from == c.Client.String(), port == portOf(c.Client):
			k.From, k.To = evidence.NoLeg, evidence.Upstream
		case from == c.Server.String(), strings.HasSuffix(to, ":0") && port == portOf(c.Server), port == portOf(c.Server):
			k.From, k.To, k.Listener, k.Foreign = evidence.Upstream, evidence.NoLeg, strings.HasSuffix(to, ":0"), true
		default:
			continue
		}
		out = append(out, evidence.Observation{At: seconds(at) + shift, Leg: evidence.Upstream, What: k})
	}
	return out
}

func portOf(a netip.AddrPort) string {
	s := a.String()
	return s[strings.LastIndexByte(s, ':')+1:]
}

// finer are causes that only the kernel's word parts from the accepted ones.
var finer = map[string]string{"peer_socket_destroyed": "app_abort"}

// TestLabWithLog adds the observer's socket log and the kernel's reasons.
func TestLabWithLog(t *testing.T) {
	count := map[cause.Strength][2]int{}
	for _, row := range readTruth(t) {
		if row.outcome == "-" || row.outcome == "none" {
			continue
		}
		t.Run(row.capture, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(labCaptures, row.capture+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var log labLog
			if err := json.Unmarshal(data, &log); err != nil {
				t.Fatal(err)
			}
			c := cutOne(connectionsOf(t, filepath.Join(labCaptures, row.capture+".pcap")))
			ev := withLog(t, c, &log)
			v := diagnose.Diagnose(&ev)
			n := count[v.Confidence]
			if slices.Contains(row.accepted, v.Cause) || slices.Contains(row.accepted, finer[v.Cause]) {
				n[0]++
			} else {
				n[1]++
				t.Errorf("got %s %s (%q, for %v), want one of %q", v.Confidence, v.Cause, v.Sentence, v.For, row.accepted)
			}
			count[v.Confidence] = n
			t.Logf("%s %s side %s phase %s: %s; for %v; against %v; or %v", v.Confidence, v.Cause, v.Side, v.Phase, v.Sentence, v.For, v.Against, v.Alternatives)
		})
	}
	for s := cause.Conclusive; s >= cause.Possible; s-- {
		t.Logf("all sources: %s: %d right, %d not", s, count[s][0], count[s][1])
	}
}

// cutOne is the connection that the capture is about: the first that a reset ended, else the last.
func cutOne(connections []*Connection) *Connection {
	for _, c := range connections {
		if c.Reset != nil {
			return c
		}
	}
	return connections[len(connections)-1]
}

// evidenceOf gives each judged capture's evidence, from packets alone and with the log.
func evidenceOf(t *testing.T, row labRow) (alone, all evidence.Evidence) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(labCaptures, row.capture+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var log labLog
	if err := json.Unmarshal(data, &log); err != nil {
		t.Fatal(err)
	}
	c := cutOne(connectionsOf(t, filepath.Join(labCaptures, row.capture+".pcap")))
	return c.Evidence(), withLog(t, c, &log)
}

const takenAway = "taken away"

// TestLabHumbly takes away whole sources, and single observations: a verdict may get vaguer, not wrong and sure.
func TestLabHumbly(t *testing.T) {
	for _, row := range readTruth(t) {
		if row.outcome == "-" || row.outcome == "none" {
			continue
		}
		alone, all := evidenceOf(t, row)
		check := func(ev *evidence.Evidence, without string) {
			v := diagnose.Diagnose(ev)
			for _, cite := range slices.Concat(v.For, v.Against) {
				if covered := map[evidence.Source]string{evidence.Sockets: ev.Coverage.Sockets, evidence.Packets: ev.Coverage.Packets, evidence.Witness: ev.Coverage.Witness}; covered[cite.Source] == takenAway {
					t.Errorf("%s without %s: %s cites %+v", row.capture, without, v.Cause, cite)
				}
			}
			if v.Confidence == cause.Conclusive && !slices.Contains(row.accepted, v.Cause) && !slices.Contains(row.accepted, finer[v.Cause]) {
				t.Errorf("%s without %s: got conclusively %s (%s), want one of %q", row.capture, without, v.Cause, v.Sentence, row.accepted)
			}
		}
		for _, whole := range []*evidence.Evidence{&alone, &all} {
			for i := range whole.Observations {
				part := *whole
				part.Observations = slices.Delete(slices.Clone(whole.Observations), i, i+1)
				check(&part, fmt.Sprintf("%+v", whole.Observations[i]))
			}
		}
		for without := range 1 << 3 {
			part := all
			part.Observations = slices.DeleteFunc(slices.Clone(all.Observations), func(o evidence.Observation) bool {
				i := slices.Index([]evidence.Source{evidence.Sockets, evidence.Packets, evidence.Witness}, evidence.SourceOf(o.What))
				return i >= 0 && without>>i&1 != 0
			})
			for i, covered := range []*string{&part.Coverage.Sockets, &part.Coverage.Packets, &part.Coverage.Witness} {
				if without>>i&1 != 0 {
					*covered = takenAway
				}
			}
			check(&part, fmt.Sprintf("the sources %03b", without))
		}
	}
}
