package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// lines are two records of ended connections, with a notice between them and a line of another program behind.
func lines() (records []*Connection, text []string) {
	records = []*Connection{witnessed(), captured()}
	n := notices()[0]
	for _, line := range [][]byte{Append(nil, records[0]), n.Append(nil), Append(nil, records[1])} {
		text = append(text, strings.TrimSpace(string(line)))
	}
	return records, append(text, `10.0.0.7 - - "GET / HTTP/1.1" 200`)
}

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// each makes a text out of all lines, each in its wrapping.
func each(format, between string) func([]string) string {
	return func(text []string) string {
		var all []string
		for _, line := range text {
			all = append(all, strings.NewReplacer("LINE", line, "QUOTED", quote(line), "ENDED", quote(line+"\n")).Replace(format))
		}
		return strings.Join(all, between)
	}
}

// documents makes a text out of those lines that are JSON, decoded, each in its wrapping.
func documents(format, between string, edit func(map[string]any) any) func([]string) string {
	return func(text []string) string {
		var all []string
		for _, line := range text {
			var object map[string]any
			if json.Unmarshal([]byte(line), &object) != nil {
				object = map[string]any{"message": line}
			}
			b, err := json.Marshal(edit(object))
			if err != nil {
				panic(err)
			}
			all = append(all, strings.ReplaceAll(format, "DOCUMENT", string(b)))
		}
		return strings.Join(all, between)
	}
}

func asIs(object map[string]any) any { return object }

// withDots names everything by its whole name.
func withDots(object map[string]any) any {
	flat := map[string]any{}
	nameAll(flat, "", object)
	return flat
}

// inArrays is how Elasticsearch's option fields gives values, and what Kibana copies.
func inArrays(object map[string]any) any {
	flat := withDots(object).(map[string]any)
	for name, v := range flat {
		if _, array := v.([]any); !array {
			flat[name] = []any{v}
		}
	}
	return flat
}

// synthetic is how Elasticsearch makes a _source that it has not kept: sorted, and arrays of one as single values.
func synthetic(object map[string]any) any {
	for name, v := range object {
		switch v := v.(type) {
		case map[string]any:
			synthetic(v)
		case []any:
			if len(v) == 1 {
				object[name] = v[0]
			}
		}
	}
	return object
}

// asTexts writes numbers as texts or, where that cannot be told from an integer's, with a fraction.
func asTexts(object map[string]any) any {
	for name, v := range object {
		switch v := v.(type) {
		case map[string]any:
			asTexts(v)
		case float64:
			if object[name] = fmt.Sprintf("%.1f", v); name == "port" {
				object[name] = json.Number(fmt.Sprintf("%.1f", v))
			}
		}
	}
	return object
}

// filebeat decodes the record into its own event, which has a host, a log and a time of milliseconds.
func filebeat(object map[string]any) any {
	if at, ok := object["@timestamp"].(string); ok {
		object["@timestamp"] = at[:23] + "Z"
	}
	object["log"] = map[string]any{"offset": 4711, "file": map[string]any{"path": "/var/log/whyreset/whyreset.json"}}
	object["input"] = map[string]any{"type": "filestream"}
	object["agent"] = map[string]any{"type": "filebeat", "version": "9.4.0"}
	object["host"] = map[string]any{"name": "edge-1", "os": map[string]any{"kernel": "6.1"}}
	return object
}

func around(before, after string, inner func([]string) string) func([]string) string {
	return func(text []string) string { return before + inner(text) + after }
}

// pretty lays a JSON document out over many lines.
func pretty(inner func([]string) string) func([]string) string {
	return func(text []string) string {
		var b bytes.Buffer
		if err := json.Indent(&b, []byte(inner(text)), "", "  "); err != nil {
			panic(err)
		}
		return b.String()
	}
}

const (
	lokiBefore = `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"service_name":"whyreset","host":"edge-1"},"values":[`
	lokiAfter  = `]},{"stream":{"service_name":"other"},"values":[]}],"stats":{"summary":{"bytesProcessedPerSecond":1,"totalLinesProcessed":4},"ingester":{"chunks":[{"n":1}]}}}}` + "\n"
	hitsBefore = `{"took":5,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":4,"relation":"eq"},"max_score":null,"hits":[`
	hitsAfter  = `]}}`
	hit        = `{"_index":".ds-logs-whyreset.connection-default-2026.11.24-000001","_id":"x1","_score":1.0,"_source":DOCUMENT,"sort":[1732440613250]}`
)

// Each way that records are kept in or exported from.
var wrappings = []struct {
	name     string
	wrap     func([]string) string
	extra    int  // lines that are no records, besides the one of another program; -1: it cannot be told from a value
	changes  bool // the wrapping puts a time and host of its own in place of the record's
	document bool // the lines are not lines any more
}{
	{name: "as written", wrap: each("LINE\n", "")},
	{name: "Windows line ends and no newline at the end", wrap: each("LINE", "\r\n")},
	{name: "byte order mark", wrap: around("\ufeff", "", each("LINE\n", ""))},
	{name: "array of lines", document: true, wrap: around("[\n", "\n]\n", documents("DOCUMENT", ",\n", asIs))},
	{name: "laid out", document: true, wrap: pretty(around("[", "]", documents("DOCUMENT", ",", asIs)))},

	{name: "Loki query", document: true, wrap: around(lokiBefore, lokiAfter, each(`["1732440613250000000",QUOTED]`, ","))},
	{name: "Loki query (laid out)", document: true, wrap: pretty(around(lokiBefore, lokiAfter, each(`["1732440613250000000",QUOTED]`, ",")))},
	{name: "Loki query (labels in categories)", document: true, wrap: around(lokiBefore, lokiAfter,
		each(`["1732440613250000000",QUOTED,{"structuredMetadata":{"conn_id":"01J"},"parsed":{"cause":"x"}}]`, ","))},
	{name: "Loki tail", document: true, wrap: each(`{"streams":[{"stream":{"service_name":"whyreset"},"values":[["1732440613250000000",QUOTED]]}]}`, "\n")},
	{name: "logcli default", wrap: each(`2026-11-24T09:30:13Z {host="edge-1", service_name="whyreset"} LINE`+"\n", "")},
	{name: "logcli jsonl", wrap: each(`{"labels":{"service_name":"whyreset"},"line":QUOTED,"timestamp":"2026-11-24T09:30:13.25Z"}`+"\n", "")},
	{name: "Grafana JSON", document: true, wrap: around("[", "]", each(`{"line":QUOTED,"timestamp":"1732440613250000000","date":"2026-11-24T09:30:13.250Z","fields":{"service_name":"whyreset"}}`, ","))},
	{name: "Grafana text", document: true, wrap: around("Common labels: {\"service_name\":\"whyreset\"}\nLine limit: \"1000 (4 returned)\"\n\n\n", "",
		each("1732440613250\t2026-11-24T09:30:13.250Z\tLINE\n", "")), extra: 2},

	{name: "Docker json-file", wrap: each(`{"log":ENDED,"stream":"stdout","time":"2026-11-24T09:30:13.250000001Z"}`+"\n", "")},
	{name: "Docker json-file in Loki", document: true, wrap: around(lokiBefore, lokiAfter, func(text []string) string {
		return each(`["1732440613250000000",QUOTED]`, ",")(strings.Split(each(`{"log":ENDED,"stream":"stdout","time":"2026-11-24T09:30:13Z"}`, "\n")(text), "\n"))
	})},
	{name: "CRI", wrap: each("2026-11-24T09:30:13.250000001Z stdout F LINE\n", "")},
	{name: "kubectl logs --prefix --timestamps", wrap: each("[pod/whyreset-7d9f/proxy] 2026-11-24T09:30:13.250000001Z LINE\n", "")},
	{name: "docker compose logs", wrap: each("proxy-1  | LINE\n", "")},
	{name: "journalctl -o json", wrap: each(`{"__CURSOR":"s=1","_SYSTEMD_UNIT":"whyreset.service","PRIORITY":"6","MESSAGE":QUOTED}`+"\n", "")},
	{name: "journalctl -o json (not all text)", wrap: func(text []string) string {
		var b strings.Builder
		for _, line := range text {
			fmt.Fprintf(&b, `{"PRIORITY":"6","MESSAGE":[%s]}`+"\n", strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(line)), "[]"), " ", ","))
		}
		return b.String()
	}},
	{name: "journalctl -o json-seq", wrap: each("\x1e"+`{"__CURSOR":"s=1","MESSAGE":QUOTED}`+"\n", "")},
	{name: "journalctl -o short", wrap: each("Nov 24 09:30:13 edge-1 whyreset[4711]: LINE\n", "")},

	{name: "Elasticsearch search", document: true, wrap: around(hitsBefore, hitsAfter, documents(hit, ",", asIs))},
	{name: "Elasticsearch search (laid out)", document: true, wrap: pretty(around(hitsBefore, hitsAfter, documents(hit, ",", asIs)))},
	{name: "Elasticsearch search (with dots)", document: true, wrap: around(hitsBefore, hitsAfter, documents(hit, ",", withDots))},
	{name: "Elasticsearch search (option fields)", document: true, wrap: around(hitsBefore, hitsAfter,
		documents(`{"_index":"i","_id":"x1","fields":DOCUMENT}`, ",", inArrays))},
	{name: "Elasticsearch multi-search", document: true, wrap: around(`{"took":1,"responses":[`+hitsBefore, hitsAfter+`,`+hitsBefore+hitsAfter+`]}`, documents(hit, ",", synthetic))},
	{name: "Kibana's inspector", document: true, wrap: around(`{"id":"x","rawResponse":`+hitsBefore, hitsAfter+`}`, documents(hit, ",", asIs))},
	{name: "elasticdump", wrap: documents(hit, "\n", asIs)},
	{name: "Filebeat (decoded)", wrap: documents("DOCUMENT", "\n", filebeat), changes: true},
	{name: "Filebeat (not decoded)", wrap: each(`{"@timestamp":"2026-11-24T09:30:14.001Z","@metadata":{"beat":"filebeat"},"log":{"offset":0,"file":{"path":"/var/log/whyreset.json"}},"message":QUOTED,"event":{"dataset":"whyreset.connection"},"ecs":{"version":"8.0.0"}}`+"\n", "")},
	{name: "Logstash (original kept)", wrap: each(`{"@version":"1","message":"a sentence","event":{"original":QUOTED}}`+"\n", "")},
	{name: "Fluent Bit", wrap: each(`{"date":1732440613.25,"log":QUOTED,"kubernetes":{"labels":[{"app":"whyreset"}]}}`+"\n", "")},
	{name: "VictoriaLogs", wrap: each(`{"_time":"2026-11-24T09:30:13.25Z","_stream":"{}","_msg":QUOTED}`+"\n", "")},
	{name: "OpenTelemetry file", document: true, wrap: each(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"whyreset"}}]},"scopeLogs":[{"scope":{},"logRecords":[`+
		`{"timeUnixNano":"1732440613250000000","body":{"stringValue":QUOTED}}]}]}]}`+"\n", "")},
	{name: "OpenTelemetry file (attributes)", document: true, extra: -1, wrap: each(`{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[`+
		`{"timeUnixNano":"1732440613250000000","body":{"stringValue":QUOTED},"attributes":[{"key":"log.file.name","value":{"stringValue":"whyreset.json"}}]}]}]}]}`+"\n", "")},
	{name: "OpenTelemetry in Elasticsearch", wrap: each(`{"_index":"logs-generic.otel-default","_source":{"@timestamp":"2026-11-24T09:30:13.250Z","body":{"text":QUOTED},"attributes":{"log.file.name":"whyreset.json"}}}`+"\n", "")},
	{name: "numbers as texts", wrap: documents("DOCUMENT", "\n", asTexts)},
	{name: "colours around", wrap: each("\x1b[36mproxy-1  |\x1b[0m LINE\x1b[0m\n", "")},
	{name: "a piece of an array", wrap: documents("DOCUMENT", ",", asIs)},
	{name: "rsyslog", wrap: each(`{"msg":QUOTED,"programname":"whyreset"}`+"\n", "")},
	{name: "Splunk", document: true, wrap: each(`{"preview":false,"result":{"_raw":QUOTED,"host":"edge-1"}}`+"\n", "")},
	{name: "lines as JSON strings", wrap: each("QUOTED\n", "")},
}
