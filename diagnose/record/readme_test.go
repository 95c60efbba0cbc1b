package record

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestReadme holds that README.md says what the code does: it is made from the tables here.
func TestReadme(t *testing.T) { golden(t, "README.md", readme()) }

func readme() []byte {
	var b bytes.Buffer
	b.WriteString(`# The record

<!-- Made by go test ./diagnose/record -update from fields.go, notice.go and story.go. -->

whyreset writes one line of JSON for each connection that ended, one for each that it is told to announce when it
starts, and one for each notice of its own. A line has at most ` + fmt.Sprint(MaxSize>>10) + ` KiB. Times are in UTC and of fixed width; integers are
below 2⁵³; a field that has nothing to say is left out. Names and meanings are a contract: they are not renamed, and not
used for something else.

Names without "whyreset." are those of the [Elastic Common Schema](https://www.elastic.co/docs/reference/ecs) ` + ecsVersion + `;
the others need a mapping of our own. The column *Loki* says where a field belongs there: as a label (few values, or each
makes a stream), as structured metadata, or just in the line, where ` + "`| json`" + ` finds it under its name with "_" for ".".

Kinds: **e** the end of a connection, **s** its start, **n** a notice. **bold**: in every record of those kinds. "[]": an array.

| field | kinds | type | unit | Elastic | Loki | meaning |
|---|---|---|---|---|---|---|
`)
	for i := range Fields {
		f := &Fields[i]
		name, typ, elastic := "`"+f.Name+"`", string(f.Type), "own"
		if f.Always {
			name = "**" + name + "**"
		}
		if f.Many {
			typ += " []"
		}
		if f.ECS() {
			elastic = "ECS"
		}
		var kinds []string
		for _, k := range []struct {
			kind   Kinds
			letter string
		}{{InEnd, "e"}, {InStart, "s"}, {InNotice, "n"}} {
			if f.In&k.kind != 0 {
				kinds = append(kinds, k.letter)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, strings.Join(kinds, " "), typ, f.Unit, elastic, f.Loki, f.Meaning)
	}
	b.WriteString(`
## Events, samples and packets

` + "`whyreset.events`" + ` is the story of the connection, in order; each event is *leg*:*what*@*seconds since the start*:

    d:connected@0.000 u:connected@0.001 u:fin@12.001 d:data@12.002 u:rst@12.004/recv p:abort_d@12.004

- The leg is ` + "`u`" + ` (upstream) or ` + "`d`" + ` (downstream) for what was seen there, ` + "`w`" + ` (whole) for what was seen between client and server
  themselves, as in a capture, and ` + "`p`" + ` for what whyreset did itself, which ends in the leg it was done to. What the other side
  does because of it is no cause.
- Seen: ` + words(sawWords[1:]) + `, ` + "`" + wordReset + "`" + ` (ECONNRESET), ` + "`" + wordResetFIN + "`" + ` (EPIPE: a FIN had come before), other errors by the
  kernel's name, and ` + "`icmp(type/code,from,error)`" + ` or ` + "`icmp6(…)`" + ` with ` + "`-`" + ` for a sender that is not known. "data" stands for the first bytes from a
  leg since the last event. An ICMP error from the wire goes on with ` + names(icmpValues[:]) + `.
- Told by the kernel: ` + "`" + wordSent + "(from>to,…)`" + ` for a reset that a TCP stack of this machine made, ` + "`" + wordReceived + "(from>to,…)`" + ` for one that a
  socket here accepted; then ` + names(kernelValues[:]) + `.
- Done: ` + words(actionWords[1:]) + `.
- A slash names the call that saw it (` + words(callWords[1:]) + `) where it is not the usual one.
- Two events of equal time were found together: which came first is not known.

` + "`whyreset.samples`" + ` has the counters, as *place*:*leg*:*kind*@*seconds*(*name*=*value*,…). The place is the number of events
before it; what is zero is left out; times are in seconds.

- ` + "`moved`" + `: what the relay had moved. ` + names(transferValues[:]) + `.
- ` + "`tcp`" + `: the kernel's TCP_INFO and its two queues. ` + names(snapshotValues[:]) + `.

` + "`whyreset.packets`" + ` has what was seen on the wire, as *from*>*to*:*flags*@*seconds*(*name*=*value*,…):

    d>u:S@0.000(frame=1,seq=1000,win=64240,ttl=64,df,mss=1460,wscale=7) u>d:RA@0.001(frame=2,ack=1001,ttl=64,df)says(text=go+away)

- The ends are ` + "`d`" + ` (the client), ` + "`u`" + ` (the server) and ` + "`p`" + ` (whyreset). The flags are letters in the order FSRPAUEC, ` + "`-`" + ` for none.
  Then ` + names(packetValues[:]) + `.
- ` + "`says`" + `: what a reset says of itself. ` + names(resetValues[:]) + `.
- ` + "`" + wordAll + "`" + ` in place of the flags: the account of all packets of a direction. ` + names(streamValues[:]) + `.
- ` + "`u:" + wordBaseline + "`" + `: what other connections had shown of this end's address. ` + names(baselineValues[:]) + `.
- Text is written as in the query of a URL. What is true or false is there or not. ` + "`scale`" + ` and ` + "`wscale`" + ` are left out where they are unknown.
- In front may stand a place and a leg: ` + "`2:u:`" + `. The place is the number of events and samples before it, where it differs from the
  place of the word before (0 at first). The leg, ` + "`p`" + ` for none, is there where it is not the one with these two ends.

All three together are the whole evidence of the verdict, exact to the nanosecond, so that a later version of whyreset can
explain an old record anew.

## Read back

Records are found again, line by line and by what is there, in files and whatever collectors, container runtimes and stores
make of them. A test holds each of these; a spreadsheet (CSV) is not read.

`)
	for _, w := range wrappings {
		b.WriteString("- " + w.name + "\n")
	}
	b.WriteString(`

## Notices

| event.action | meaning |
|---|---|
`)
	for _, c := range Codes {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Code, c.Meaning)
	}
	return b.Bytes()
}

func words(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }

func names[T any](values []value[T]) string {
	var list []string
	for i := range values {
		list = append(list, values[i].name)
	}
	return words(list)
}
