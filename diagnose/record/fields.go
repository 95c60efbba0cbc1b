package record

import "strings"

// Field describes one field of the records.
type Field struct {
	Name    string // with dots between the objects
	Type    Type
	Many    bool // an array; none must be asked for, for Loki skips them
	Signed  bool // may be below zero
	Unit    string
	In      Kinds
	Always  bool // in every record of those kinds
	Loki    Place
	Meaning string
}

// ECS says that the Elastic Common Schema knows the field; the others need a mapping of our own.
func (f *Field) ECS() bool { return !strings.HasPrefix(f.Name, "whyreset.") }

// Type is a field type of Elasticsearch.
type Type string

const (
	Date    Type = "date"
	Keyword Type = "keyword"
	Text    Type = "match_only_text"
	Long    Type = "long" // never above 2⁵³ - 1
	IP      Type = "ip"
	Boolean Type = "boolean"
)

// Kinds are kinds of records.
type Kinds uint8

const (
	InEnd    Kinds = 1 << iota // an ended connection
	InStart                    // a connection that goes on
	InNotice                   // the program's own
	InAll    = InEnd | InStart | InNotice
)

// Place is where a field belongs in Loki. There is no other label than these few: each value of a label is
// a stream of its own.
type Place string

const (
	Label    Place = "label"
	Metadata Place = "structured metadata"
	Line     Place = "line"
)

// Fields is every field of every record, in the order in which they are written.
var Fields = []Field{
	{Name: "@timestamp", Type: Date, In: InAll, Always: true, Loki: Line, Meaning: "when the record was made, which is Loki's own timestamp: not when the connection started"},
	{Name: "log.level", Type: Keyword, In: InAll, Always: true, Loki: Line, Meaning: "`warn` when the end cost somebody something, or may have; `error` for failures of whyreset itself; else `info`. Loki finds it by itself (`detected_level`)"},
	{Name: "message", Type: Text, In: InAll, Always: true, Loki: Line, Meaning: "what happened, in one sentence with its numbers"},
	{Name: "ecs.version", Type: Keyword, In: InAll, Always: true, Loki: Line, Meaning: "of the Elastic Common Schema that the names are from: " + ecsVersion},
	{Name: "service.name", Type: Keyword, In: InAll, Always: true, Loki: Label, Meaning: "`whyreset`; Loki's label `service_name`"},
	{Name: "service.version", Type: Keyword, In: InAll, Always: true, Loki: Line, Meaning: "of the whyreset that wrote the record"},
	{Name: "host.name", Type: Keyword, In: InAll, Loki: Label, Meaning: "of the host it runs on; Loki's label `host`"},

	{Name: "event.kind", Type: Keyword, In: InAll, Always: true, Loki: Line, Meaning: "`event`"},
	{Name: "event.category", Type: Keyword, Many: true, In: InAll, Always: true, Loki: Line, Meaning: "`network`, or `process` for the program's own"},
	{Name: "event.type", Type: Keyword, Many: true, In: InAll, Always: true, Loki: Line, Meaning: "`connection` with `start` or `end`, and `denied` where whyreset refused; `start`, `end` or `info` for the program's own"},
	{Name: "event.dataset", Type: Keyword, In: InAll, Always: true, Loki: Line, Meaning: "`whyreset.connection` or `whyreset.program`"},
	{Name: "event.action", Type: Keyword, In: InAll, Always: true, Loki: Line, Meaning: "how the connection ended: `connection_closed`, `connection_reset`, `connection_refused`, `connection_timed_out` or `connection_unreachable`; `connection_started`; or one of the notices below"},
	{Name: "event.code", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "the cause, as in `whyreset.verdict.cause`"},
	{Name: "event.reason", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "the cause in a few words"},
	{Name: "event.outcome", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "`success` when the end cost nobody anything, `failure` when it did, else `unknown`"},
	{Name: "event.id", Type: Keyword, In: InEnd | InStart, Always: true, Loki: Metadata, Meaning: "of the connection, unique (a ULID); the same in its start and its end"},
	{Name: "event.sequence", Type: Long, In: InEnd | InStart, Always: true, Loki: Line, Meaning: "number of the connection since the program started, from 1"},
	{Name: "event.start", Type: Date, In: InEnd | InStart, Always: true, Loki: Line, Meaning: "when the connection was accepted"},
	{Name: "event.end", Type: Date, In: InEnd, Always: true, Loki: Line, Meaning: "when it was over"},
	{Name: "event.duration", Type: Long, Unit: "ns", In: InEnd, Always: true, Loki: Line, Meaning: "from start to end"},

	{Name: "source.ip", Type: IP, In: InEnd | InStart, Loki: Line, Meaning: "of the client"},
	{Name: "source.port", Type: Long, In: InEnd | InStart, Loki: Line, Meaning: "of the client"},
	{Name: "source.bytes", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "received from the client"},
	{Name: "destination.ip", Type: IP, In: InEnd | InStart, Loki: Line, Meaning: "of what the client meant to reach: in forward mode the upstream"},
	{Name: "destination.port", Type: Long, In: InEnd | InStart, Loki: Line, Meaning: "of what the client meant to reach"},
	{Name: "destination.bytes", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "received from the upstream"},
	{Name: "network.transport", Type: Keyword, In: InEnd | InStart, Always: true, Loki: Line, Meaning: "`tcp`"},
	{Name: "network.type", Type: Keyword, In: InEnd | InStart, Always: true, Loki: Line, Meaning: "`ipv4` or `ipv6`, of the client's leg"},
	{Name: "error.type", Type: Keyword, In: InEnd, Loki: Line, Meaning: "the error that the kernel gave for the ending explained, like `ECONNRESET`; a FIN is none"},
	{Name: "error.code", Type: Keyword, In: InEnd, Loki: Line, Meaning: "its number on Linux, like `104`"},
	{Name: "error.message", Type: Text, In: InNotice, Loki: Line, Meaning: "what the system said"},

	{Name: "whyreset.count", Type: Long, In: InNotice, Always: true, Loki: Line, Meaning: "of what the notice is about; 0 where nothing is counted"},
	{Name: "whyreset.listener", Type: Keyword, In: InAll, Loki: Line, Meaning: "name of the listener; in a notice only where one is concerned"},
	{Name: "whyreset.dropped.harmful", Type: Long, Unit: "records", In: InNotice, Loki: Line, Meaning: "of harmful endings and of notices, made and not written since this was last told"},
	{Name: "whyreset.dropped.ordinary", Type: Long, Unit: "records", In: InNotice, Loki: Line, Meaning: "of everything else, likewise"},
	{Name: "whyreset.target", Type: Keyword, In: InEnd | InStart, Loki: Line, Meaning: "the upstream as configured"},
	{Name: "whyreset.file", Type: Keyword, In: InEnd, Loki: Line, Meaning: "the capture that the connection was found in, as it was named to `whyreset explain`"},
	{Name: "whyreset.events", Type: Keyword, Unit: "s since the start", In: InEnd, Loki: Line, Meaning: "what happened, in order: see below"},
	{Name: "whyreset.samples", Type: Keyword, In: InEnd, Loki: Line, Meaning: "counters of both legs at the end and before, which complete the evidence: see below"},
	{Name: "whyreset.packets", Type: Keyword, In: InEnd, Loki: Line, Meaning: "headers seen on the wire, and the account of each direction: see below"},
	{Name: "whyreset.cut", Type: Boolean, In: InEnd, Loki: Line, Meaning: "`true` when the record could not carry all of its evidence, so that nobody must judge by what is left: `…123…` stands for so many events or packets"},

	{Name: "whyreset.verdict.side", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "on which the end came about: `upstream`, `downstream`, `proxy` or `unknown`"},
	{Name: "whyreset.verdict.origin", Type: Keyword, In: InEnd, Always: true, Loki: Metadata, Meaning: "who made it: `application` (the peer's live socket was closed or destroyed), `host` (its TCP stack has no such socket), `path` (a device between), `network` (silence, loss), `local` (this host), `proxy` (whyreset) or `unknown`"},
	{Name: "whyreset.verdict.cause", Type: Keyword, In: InEnd, Always: true, Loki: Metadata, Meaning: "why: an ID of the catalogue, which is never renamed and never used for something else"},
	{Name: "whyreset.verdict.confidence", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "`conclusive`, `likely` or `possible`"},
	{Name: "whyreset.verdict.impact", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "what it cost: `none`, `answer_cut`, `request_unanswered`, `upload_cut` or `unknown`"},
	{Name: "whyreset.verdict.phase", Type: Keyword, In: InEnd, Always: true, Loki: Line, Meaning: "what the connection was doing: `connect`, `no_data`, `request_outstanding`, `responding`, `idle`, `half_closed` or `closing`"},
	{Name: "whyreset.verdict.idle_ms", Type: Long, Unit: "ms", In: InEnd, Always: true, Loki: Line, Meaning: "from the last byte either way to the end"},
	{Name: "whyreset.verdict.advice", Type: Text, In: InEnd, Loki: Line, Meaning: "what to do, the most useful first, a line each"},
	{Name: "whyreset.verdict.timers", Type: Text, In: InEnd, Loki: Line, Meaning: "known timers that fit the idle time and the way it ended, a line each"},
	{Name: "whyreset.verdict.evidence", Type: Text, Many: true, In: InEnd, Loki: Line, Meaning: "what speaks for it, each behind its source: `sockets`, `packets`, `witness` or `proxy`"},
	{Name: "whyreset.verdict.against", Type: Text, Many: true, In: InEnd, Loki: Line, Meaning: "what speaks against it, likewise"},
	{Name: "whyreset.verdict.missing", Type: Text, Many: true, In: InEnd, Loki: Line, Meaning: "what would have settled it"},
	{Name: "whyreset.verdict.alternatives", Type: Keyword, Many: true, In: InEnd, Loki: Line, Meaning: "other causes that it may be instead"},

	{Name: "whyreset.earlier.cause", Type: Keyword, In: InEnd, Loki: Line, Meaning: "what the record said before `whyreset explain` explained it anew; only where that was something else"},
	{Name: "whyreset.earlier.confidence", Type: Keyword, In: InEnd, Loki: Line, Meaning: "likewise"},
	{Name: "whyreset.earlier.version", Type: Keyword, In: InEnd, Loki: Line, Meaning: "of the whyreset that said it"},

	{Name: "whyreset.capture.resetter", Type: Keyword, In: InEnd, Loki: Line, Meaning: "of a connection in a capture file that holds a RST: who sent the first, `client` or `server`"},
	{Name: "whyreset.capture.frame", Type: Long, In: InEnd, Loki: Line, Meaning: "number of that RST in the file, from 1"},
	{Name: "whyreset.capture.flags", Type: Keyword, In: InEnd, Loki: Line, Meaning: "its flags, a letter each in the order FSRPAUEC"},
	{Name: "whyreset.capture.rst_from_client", Type: Long, Unit: "RSTs", In: InEnd, Loki: Line, Meaning: "in the whole connection"},
	{Name: "whyreset.capture.rst_from_server", Type: Long, Unit: "RSTs", In: InEnd, Loki: Line, Meaning: "likewise"},
	{Name: "whyreset.capture.stage", Type: Keyword, In: InEnd, Loki: Line, Meaning: "how far the connection had got before it: `post-syn`, `post-synack`, `post-handshake`, `post-data`, `post-fin`; `midstream-nodata`, `midstream-data`, `midstream-fin` where the capture has no beginning of the connection; `orphan` where the RST is the first packet"},
	{Name: "whyreset.capture.ttl_delta", Type: Long, Signed: true, In: InEnd, Loki: Line, Meaning: "its TTL minus that of the last other packet of its direction before it; absent without one"},
	{Name: "whyreset.capture.seq_delta", Type: Long, Signed: true, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "its sequence number minus the highest end of a segment of its sender before it; absent without one"},
	{Name: "whyreset.capture.continued", Type: Boolean, In: InEnd, Loki: Line, Meaning: "both sides went on after it, so that it was not believed"},

	{Name: "whyreset.downstream.local", Type: Keyword, In: InEnd | InStart, Loki: Line, Meaning: "our end of the client's leg, IP:PORT"},
	{Name: "whyreset.downstream.remote", Type: Keyword, In: InEnd | InStart, Loki: Line, Meaning: "the client, IP:PORT"},
	{Name: "whyreset.downstream.state", Type: Keyword, In: InEnd, Loki: Line, Meaning: "of our socket when the end was seen, in the kernel's words"},
	{Name: "whyreset.downstream.rtt_us", Type: Long, Unit: "µs", In: InEnd, Loki: Line, Meaning: "round-trip time, smoothed; 0 without a sample"},
	{Name: "whyreset.downstream.retrans", Type: Long, Unit: "segments", In: InEnd, Loki: Line, Meaning: "sent again, over all the connection"},
	{Name: "whyreset.downstream.bytes_in", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "read from the client"},
	{Name: "whyreset.downstream.bytes_out", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "given to our kernel for the client"},
	{Name: "whyreset.downstream.bytes_unacked", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "of those, not acknowledged by the client's kernel; after a reset they are lost"},
	{Name: "whyreset.downstream.bytes_unread", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "received by our kernel and not read"},
	{Name: "whyreset.downstream.idle_ms", Type: Long, Unit: "ms", In: InEnd, Loki: Line, Meaning: "from the last byte on this leg to the end; absent when there was none"},

	{Name: "whyreset.upstream.local", Type: Keyword, In: InEnd | InStart, Loki: Line, Meaning: "our end of the upstream's leg, IP:PORT"},
	{Name: "whyreset.upstream.remote", Type: Keyword, In: InEnd | InStart, Loki: Line, Meaning: "the address really dialled, IP:PORT"},
	{Name: "whyreset.upstream.state", Type: Keyword, In: InEnd, Loki: Line, Meaning: "as downstream"},
	{Name: "whyreset.upstream.rtt_us", Type: Long, Unit: "µs", In: InEnd, Loki: Line, Meaning: "as downstream"},
	{Name: "whyreset.upstream.retrans", Type: Long, Unit: "segments", In: InEnd, Loki: Line, Meaning: "as downstream"},
	{Name: "whyreset.upstream.bytes_in", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "read from the upstream"},
	{Name: "whyreset.upstream.bytes_out", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "given to our kernel for the upstream"},
	{Name: "whyreset.upstream.bytes_unacked", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "of those, not acknowledged by the upstream's kernel; after a reset they are lost"},
	{Name: "whyreset.upstream.bytes_unread", Type: Long, Unit: "bytes", In: InEnd, Loki: Line, Meaning: "as downstream"},
	{Name: "whyreset.upstream.idle_ms", Type: Long, Unit: "ms", In: InEnd, Loki: Line, Meaning: "as downstream"},

	{Name: "whyreset.coverage.sockets", Type: Keyword, In: InEnd, Loki: Line, Meaning: "`watched`, or why not"},
	{Name: "whyreset.coverage.packets", Type: Keyword, In: InEnd, Loki: Line, Meaning: "`watched`, or why not"},
	{Name: "whyreset.coverage.witness", Type: Keyword, In: InEnd, Loki: Line, Meaning: "`watched`, or why not"},
}
