package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// ErrOther is the error for a line that is no record of an ended connection: the start of one, a notice, or
// another program's.
var ErrOther = errors.New("no record of an ended connection")

// wire is the part of a record that is read back; the rest repeats it.
type wire struct {
	Timestamp string `json:"@timestamp"`
	Message   string `json:"message"`
	Service   struct {
		Version string `json:"version"`
	} `json:"service"`
	Host struct {
		Name string `json:"name"`
	} `json:"host"`
	Event struct {
		Dataset  string `json:"dataset"`
		Action   string `json:"action"`
		ID       string `json:"id"`
		Sequence uint64 `json:"sequence"`
		Start    string `json:"start"`
		End      string `json:"end"`
	} `json:"event"`
	Destination struct {
		IP   string `json:"ip"`
		Port uint16 `json:"port"`
	} `json:"destination"`
	Whyreset struct {
		File     string `json:"file"`
		Listener string `json:"listener"`
		Target   string `json:"target"`
		Events   string `json:"events"`
		Samples  string `json:"samples"`
		Packets  string `json:"packets"`
		Cut      bool   `json:"cut"`
		Verdict  struct {
			Side         string   `json:"side"`
			Origin       string   `json:"origin"`
			Cause        string   `json:"cause"`
			Confidence   string   `json:"confidence"`
			Impact       string   `json:"impact"`
			Phase        string   `json:"phase"`
			IdleMS       int64    `json:"idle_ms"`
			Advice       string   `json:"advice"`
			Timers       string   `json:"timers"`
			Evidence     []string `json:"evidence"`
			Against      []string `json:"against"`
			Missing      []string `json:"missing"`
			Alternatives []string `json:"alternatives"`
		} `json:"verdict"`
		Earlier    *wireEarlier `json:"earlier"`
		Capture    *Capture     `json:"capture"`
		Downstream wireLeg      `json:"downstream"`
		Upstream   wireLeg      `json:"upstream"`
		Coverage   struct {
			Sockets string `json:"sockets"`
			Packets string `json:"packets"`
			Witness string `json:"witness"`
		} `json:"coverage"`
	} `json:"whyreset"`
}

type wireLeg struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

// Parse reads a line that Append has written, of this version or an earlier one, also when it is wrapped in one of the ways
// that Reader knows. The verdict is the one that was given then, its idle time in whole milliseconds.
func Parse(line []byte) (*Connection, error) { return readLine(line, 0) }

// parse reads a record that is not wrapped.
func parse(line []byte) (*Connection, error) {
	var w wire
	if err := json.Unmarshal(line, &w); err != nil {
		return nil, fmt.Errorf("not a record: %w", err)
	}
	if w.Event.Dataset != datasetConnection || w.Event.Action == actionStarted {
		return nil, ErrOther
	}
	c := &Connection{
		By: Identity{Version: w.Service.Version, Host: w.Host.Name},
		ID: w.Event.ID, Sequence: min(w.Event.Sequence, maxInteger),
		Listener: w.Whyreset.Listener, Target: w.Whyreset.Target, File: w.Whyreset.File, Capture: w.Whyreset.Capture,
	}
	var errs []error
	note := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	var err error
	var end time.Time
	if w.Timestamp != "" {
		c.Time, err = readTime(w.Timestamp)
		note("@timestamp", err)
	}
	c.Start, err = readTime(w.Event.Start)
	note("event.start", err)
	end, err = readTime(w.Event.End)
	note("event.end", err)
	if c.Duration = end.Sub(c.Start); c.Duration < 0 || !c.Start.Add(c.Duration).Equal(end) {
		note("event.end", fmt.Errorf("%v after event.start, want no less than 0 and no more than 292 years", c.Duration))
	}
	if w.Destination.IP != "" {
		a, err := netip.ParseAddr(w.Destination.IP)
		note("destination.ip", err)
		c.Destination = netip.AddrPortFrom(a, w.Destination.Port)
	}
	note("whyreset.downstream", w.Whyreset.Downstream.read(&c.Downstream))
	note("whyreset.upstream", w.Whyreset.Upstream.read(&c.Upstream))
	note("whyreset.verdict", w.readVerdict(&c.Verdict))
	c.Earlier, err = w.Whyreset.Earlier.read()
	note("whyreset.earlier", err)
	if !w.Whyreset.Cut {
		note("evidence", w.readEvidence(c))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("record %s: %w", w.Event.ID, errors.Join(errs...))
	}
	return c, nil
}

// readTime reads a time of any precision: Filebeat and Elasticsearch keep milliseconds.
func readTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	return t.UTC(), err
}

func (w *wireLeg) read(leg *Leg) (err error) {
	if w.Local != "" {
		if leg.Local, err = netip.ParseAddrPort(w.Local); err != nil {
			return fmt.Errorf("local: %w", err)
		}
	}
	if w.Remote != "" {
		if leg.Remote, err = netip.ParseAddrPort(w.Remote); err != nil {
			return fmt.Errorf("remote: %w", err)
		}
	}
	return nil
}

func (w *wire) readVerdict(v *diagnose.Verdict) error {
	d := &w.Whyreset.Verdict
	const most = int64(1<<63-1) / int64(time.Millisecond)
	if d.IdleMS < 0 || d.IdleMS > most {
		return fmt.Errorf("idle_ms is %d, want 0 to %d", d.IdleMS, most)
	}
	*v = diagnose.Verdict{
		Action: diagnose.Action(w.Event.Action), Side: diagnose.Side(d.Side), Origin: cause.Origin(d.Origin),
		Cause: d.Cause, Impact: diagnose.Impact(d.Impact), Phase: cause.Phase(d.Phase),
		Idle: time.Duration(d.IdleMS) * time.Millisecond, Sentence: w.Message,
		Advice: splitLines(d.Advice), Timers: splitLines(d.Timers),
		For: readCites(d.Evidence), Against: readCites(d.Against),
		Missing: d.Missing, Alternatives: d.Alternatives,
	}
	var err error
	v.Confidence, err = readStrength(d.Confidence)
	return err
}

func readStrength(word string) (cause.Strength, error) {
	for _, s := range []cause.Strength{cause.Possible, cause.Likely, cause.Conclusive} {
		if s.String() == word {
			return s, nil
		}
	}
	return cause.Silent, fmt.Errorf("confidence is %q, want possible, likely or conclusive", word)
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func readCites(texts []string) (cites []cause.Cite) {
	for _, text := range texts {
		source, says, ok := strings.Cut(text, ": ")
		if !ok {
			source, says = "", text
		}
		cites = append(cites, cause.Cite{Source: evidence.Source(source), Says: says})
	}
	return cites
}

func (w *wire) readEvidence(c *Connection) error {
	observations, err := readStory(w.Whyreset.Events, w.Whyreset.Samples, w.Whyreset.Packets)
	if err != nil {
		return err
	}
	cov := &w.Whyreset.Coverage
	c.Evidence = &evidence.Evidence{
		Client: c.Downstream.Remote, OwnDown: c.Downstream.Local,
		Server: c.Upstream.Remote, OwnUp: c.Upstream.Local,
		Observations: observations,
		Coverage:     evidence.Coverage{Sockets: cov.Sockets, Packets: cov.Packets, Witness: cov.Witness},
	}
	return nil
}
