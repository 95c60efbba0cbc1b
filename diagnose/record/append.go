package record

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// Version of the Elastic Common Schema that the names are from.
const ecsVersion = "9.4.0"

// Datasets tell the kinds of records apart.
const (
	datasetConnection = "whyreset.connection"
	datasetProgram    = "whyreset.program"
)

// MaxSize is the most bytes that a record has, its newline included: container runtimes split longer lines.
const MaxSize = 16 << 10

// timeLayout has a fixed width; RFC 3339 with nanoseconds as package time knows it drops zeros, and then
// neither sorts nor parses everywhere.
const (
	timeLayout   = secondLayout + "000000000Z"
	secondLayout = "2006-01-02T15:04:05."
)

// maxInteger is the largest that every JSON reader takes exactly: 2⁵³ - 1.
const maxInteger = 1<<53 - 1

// Elasticsearch does not index a keyword longer than this (ignore_above).
const maxKeyword = 1024

// limits bound the text of a record. Verdicts keep far below the first; the others are there so that MaxSize
// holds whatever a verdict says.
type limits struct {
	text, item int // bytes of a sentence, and of one entry of a list
	items      int // entries of a list
	story      int // bytes of the events and of the packets, each; zero: they are left out
}

var allLimits = [...]limits{
	{text: 1000, item: 400, items: 12, story: MaxSize},
	{text: 500, item: 120, items: 5, story: MaxSize},
	{text: 500, item: 120, items: 5, story: 4 << 10},
	{text: 150, item: 60, items: 2},
}

// writer is what one record is written with: a zerolog logger whose output is appended to dst.
type writer struct {
	log  zerolog.Logger
	dst  []byte
	text []byte // one value at a time

	second int64  // of stamp, since 1970
	stamp  []byte // that second in secondLayout; empty: none yet
	story
}

func (w *writer) Write(p []byte) (int, error) {
	w.dst = append(w.dst, p...)
	return len(p), nil
}

func (w *writer) WriteLevel(_ zerolog.Level, p []byte) (int, error) { return w.Write(p) }

var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.log = zerolog.New(w)
	return w
}}

// Append appends the record of an ended connection, one line with its newline, at most MaxSize bytes. What
// does not fit is left out: text first, then the middle of the story, and then Parse says that there is no evidence.
func Append(dst []byte, c *Connection) []byte {
	return appendWith(dst, func(w *writer, l limits) { w.connection(c, l) })
}

// AppendStart appends a record for a connection that goes on: for sessions so long that their end comes
// too late to be told of.
func AppendStart(dst []byte, c *Connection) []byte {
	return appendWith(dst, func(w *writer, l limits) { w.start(c, l) })
}

// Append appends the notice, one line with its newline.
func (n *Notice) Append(dst []byte) []byte {
	return appendWith(dst, func(w *writer, l limits) { w.notice(n, l) })
}

func appendWith(dst []byte, write func(*writer, limits)) []byte {
	w := writers.Get().(*writer)
	before := len(dst)
	for _, l := range allLimits {
		w.dst = dst[:before]
		write(w, l)
		dst = w.dst
		if len(dst)-before <= MaxSize {
			break
		}
	}
	w.dst = nil
	writers.Put(w)
	return dst
}

// connection writes the record of an ended connection. Each key stands here, and once: zerolog does not
// notice a second one, and Elasticsearch refuses the record.
func (w *writer) connection(c *Connection, l limits) {
	v := &c.Verdict
	told := summarise(c)
	whole := c.Evidence != nil && w.tell(c.Evidence.Observations) && w.fits(l.story) && c.describes() && fits(&c.Evidence.Coverage, l.item)

	e := w.head(c.made(), level(v), v.Sentence, &c.By, l)
	types := connectionEnd
	if v.Cause == "proxy_refused" || v.Cause == "proxy_limit" {
		types = connectionDenied
	}
	ev := e.CreateDict().Str("kind", "event").Strs("category", categoryNetwork).Strs("type", types).
		Str("dataset", datasetConnection).Str("action", word(string(v.Action))).Str("code", word(v.Cause)).
		Str("reason", clip(titles()[v.Cause], maxKeyword-1)).Str("outcome", outcome(v.Impact))
	w.identify(ev, c, l)
	ev.Bytes("end", w.time(c.Start.Add(c.Duration))).Int64("duration", natural(c.Duration.Nanoseconds()))
	e.Dict("event", ev)
	w.ends(e, c, &told.legs)
	if told.errno != 0 {
		e.Dict("error", e.CreateDict().Str("type", told.errno.String()).Str("code", told.code()))
	}

	y := e.CreateDict()
	w.place(y, c, l)
	story := c.Evidence != nil && l.story > 0
	if story {
		y.Bytes("events", w.shorten(w.events, l.story))
	}
	if whole {
		y.Bytes("samples", w.samples)
	}
	if story && len(w.shown) > 0 {
		y.Bytes("packets", w.shorten(w.shown, l.story))
	}
	if !whole {
		y.Bool("cut", true)
	}
	w.verdict(y, v, l)
	w.earlier(y, c.Earlier, l)
	w.capture(y, c.Capture)
	w.leg(y, "downstream", &c.Downstream, &told.legs[evidence.Downstream])
	w.leg(y, "upstream", &c.Upstream, &told.legs[evidence.Upstream])
	if c.Evidence != nil {
		cov := &c.Evidence.Coverage
		y.Dict("coverage", y.CreateDict().Str("sockets", clip(cov.Sockets, l.item)).Str("packets", clip(cov.Packets, l.item)).
			Str("witness", clip(cov.Witness, l.item)))
	}
	e.Dict("whyreset", y).Send()
}

func (w *writer) start(c *Connection, l limits) {
	w.text = append(append(append(w.text[:0], "client "...), appendAddr(nil, c.Downstream.Remote)...), " connected"...)
	e := w.head(c.made(), Info, string(w.text), &c.By, l)
	ev := e.CreateDict().Str("kind", "event").Strs("category", categoryNetwork).Strs("type", connectionStart).
		Str("dataset", datasetConnection).Str("action", actionStarted)
	w.identify(ev, c, l)
	e.Dict("event", ev)
	w.ends(e, c, nil)
	y := e.CreateDict()
	w.place(y, c, l)
	w.leg(y, "downstream", &c.Downstream, &legSummary{})
	w.leg(y, "upstream", &c.Upstream, &legSummary{})
	e.Dict("whyreset", y).Send()
}

func (w *writer) notice(n *Notice, l limits) {
	e := w.head(n.Time, n.Level, n.Message, &n.By, l)
	types := programInfo
	switch n.Code {
	case Started:
		types = programStart
	case Stopped:
		types = programEnd
	}
	e.Dict("event", e.CreateDict().Str("kind", "event").Strs("category", categoryProcess).Strs("type", types).
		Str("dataset", datasetProgram).Str("action", string(n.Code)))
	if n.Error != "" {
		e.Dict("error", e.CreateDict().Str("message", clip(n.Error, l.text)))
	}
	y := e.CreateDict().Uint64("count", min(n.Count, maxInteger))
	if n.Listener != "" {
		y.Str("listener", clip(n.Listener, l.item))
	}
	if d := n.Dropped; d != nil {
		y.Dict("dropped", y.CreateDict().Uint64("harmful", min(d.Harmful, maxInteger)).Uint64("ordinary", min(d.Ordinary, maxInteger)))
	}
	e.Dict("whyreset", y).Send()
}

// Arrays of these are never asked for alone: what they say stands elsewhere in a single value.
var (
	categoryNetwork  = []string{"network"}
	connectionStart  = []string{"connection", "start"}
	connectionEnd    = []string{"connection", "end"}
	connectionDenied = []string{"connection", "denied", "end"}
	categoryProcess  = []string{"process"}
	programStart     = []string{"start"}
	programEnd       = []string{"end"}
	programInfo      = []string{"info"}
)

const actionStarted = "connection_started"

// head begins a record with what all have, in the order that ECS logging wants.
func (w *writer) head(at time.Time, level Level, message string, by *Identity, l limits) *zerolog.Event {
	e := w.log.Log().Bytes("@timestamp", w.time(at)).Str("log.level", string(level)).Str("message", clip(message, l.text)).
		Str("ecs.version", ecsVersion)
	e.Dict("service", e.CreateDict().Str("name", "whyreset").Str("version", clip(by.Version, l.item)))
	if by.Host != "" {
		e.Dict("host", e.CreateDict().Str("name", clip(by.Host, l.item)))
	}
	return e
}

func (w *writer) identify(ev *zerolog.Event, c *Connection, l limits) {
	ev.Str("id", clip(c.ID, l.item)).Uint64("sequence", min(c.Sequence, maxInteger)).Bytes("start", w.time(c.Start))
}

// ends writes the client, what it meant, and the network between; told is nil while there is nothing to count.
func (w *writer) ends(e *zerolog.Event, c *Connection, told *[3]legSummary) {
	end := func(key string, a netip.AddrPort, leg evidence.Leg) {
		if !a.IsValid() {
			return
		}
		d := e.CreateDict().Bytes("ip", w.ip(a)).Uint16("port", a.Port())
		if told != nil && told[leg].received {
			d.Uint64("bytes", min(told[leg].moved.In, maxInteger))
		}
		e.Dict(key, d)
	}
	client := c.Downstream.Remote
	end("source", client, evidence.Downstream)
	end("destination", c.Destination, evidence.Upstream)
	family := "ipv4"
	if a := client.Addr(); a.Is6() && !a.Is4In6() {
		family = "ipv6"
	}
	e.Dict("network", e.CreateDict().Str("transport", "tcp").Str("type", family))
}

func (w *writer) place(y *zerolog.Event, c *Connection, l limits) {
	if c.Listener != "" {
		y.Str("listener", clip(c.Listener, l.item))
	}
	if c.Target != "" {
		y.Str("target", clip(c.Target, l.item))
	}
	if c.File != "" {
		y.Str("file", clip(c.File, l.item))
	}
}

func (w *writer) verdict(y *zerolog.Event, v *diagnose.Verdict, l limits) {
	d := y.CreateDict().Str("side", word(string(v.Side))).Str("origin", word(string(v.Origin))).Str("cause", word(v.Cause)).
		Str("confidence", v.Confidence.String()).Str("impact", word(string(v.Impact))).Str("phase", word(string(v.Phase))).
		Int64("idle_ms", natural(v.Idle.Milliseconds()))
	w.lines(d, "advice", v.Advice, l)
	w.lines(d, "timers", v.Timers, l)
	w.cites(d, "evidence", v.For, l)
	w.cites(d, "against", v.Against, l)
	list(d, "missing", v.Missing, l)
	list(d, "alternatives", v.Alternatives, l)
	y.Dict("verdict", d)
}

// lines writes a list as one string, an entry a line, so that Loki does not skip it.
func (w *writer) lines(d *zerolog.Event, key string, entries []string, l limits) {
	if len(entries) == 0 {
		return
	}
	w.text = w.text[:0]
	for i, entry := range entries[:min(len(entries), l.items)] {
		if i > 0 {
			w.text = append(w.text, '\n')
		}
		for part := range strings.SplitSeq(clip(entry, l.item), "\n") {
			w.text = append(append(w.text, part...), ' ')
		}
		w.text = w.text[:len(w.text)-1]
	}
	d.Bytes(key, w.text)
}

func (w *writer) cites(d *zerolog.Event, key string, cites []cause.Cite, l limits) {
	if len(cites) == 0 {
		return
	}
	a := d.CreateArray()
	for _, c := range cites[:min(len(cites), l.items)] {
		w.text = append(append(append(w.text[:0], c.Source...), ": "...), clip(c.Says, l.item)...)
		a.Bytes(w.text)
	}
	d.Array(key, a)
}

func list(d *zerolog.Event, key string, entries []string, l limits) {
	if len(entries) == 0 {
		return
	}
	a := d.CreateArray()
	for _, entry := range entries[:min(len(entries), l.items)] {
		a.Str(clip(entry, l.item))
	}
	d.Array(key, a)
}

func (w *writer) leg(y *zerolog.Event, key string, leg *Leg, told *legSummary) {
	if !leg.Local.IsValid() && !leg.Remote.IsValid() {
		return
	}
	d := y.CreateDict()
	if leg.Local.IsValid() {
		d.Bytes("local", w.addr(leg.Local))
	}
	if leg.Remote.IsValid() {
		d.Bytes("remote", w.addr(leg.Remote))
	}
	if told.snapped {
		s := &told.snap
		d.Str("state", stateName(s.State)).Int64("rtt_us", natural(s.RTT.Microseconds())).Uint32("retrans", s.TotalRetrans)
	}
	if told.counted {
		d.Uint64("bytes_in", min(told.moved.In, maxInteger)).Uint64("bytes_out", min(told.moved.Out, maxInteger))
	}
	if told.snapped {
		d.Uint32("bytes_unacked", told.snap.Outstanding).Uint32("bytes_unread", told.snap.Unread)
	}
	if told.moved.In > 0 || told.moved.Out > 0 {
		d.Int64("idle_ms", natural(told.idle.Milliseconds()))
	}
	y.Dict(key, d)
}

// The values below stay good until the next one is asked for.

// time is in timeLayout. Most times are of the same second as the one before.
func (w *writer) time(t time.Time) []byte {
	if second := t.Unix(); second != w.second || len(w.stamp) == 0 {
		w.second, w.stamp = second, t.UTC().AppendFormat(w.stamp[:0], secondLayout)
	}
	w.text = append(appendNanos(append(w.text[:0], w.stamp...), uint32(t.Nanosecond())), 'Z')
	return w.text
}

func (w *writer) addr(a netip.AddrPort) []byte {
	w.text = appendAddr(w.text[:0], a)
	return w.text
}

// ip leaves out the zone, which Elasticsearch's type does not know.
func (w *writer) ip(a netip.AddrPort) []byte {
	w.text = a.Addr().WithZone("").AppendTo(w.text[:0])
	return w.text
}

func appendAddr(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return dst
	}
	return a.AppendTo(dst)
}

func level(v *diagnose.Verdict) Level {
	if v.Harmful() {
		return Warn
	}
	return Info
}

func outcome(i diagnose.Impact) string {
	switch i {
	case diagnose.NoImpact:
		return "success"
	case diagnose.UnknownImpact:
		return "unknown"
	}
	return "failure"
}

// titles has the catalogue's titles by ID; asking the catalogue for each record would search it.
var titles = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, c := range cause.All() {
		m[c.ID] = c.Title
	}
	return m
})
