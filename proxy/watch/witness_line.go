package watch

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// traceLine is one of tracefs' trace_pipe, with the clock "mono":
//
//	python3-25620   (  25619) [000] ..s1. 11925.234104: tcp_send_reset: skbaddr=… src=127.0.0.1:1 dest=127.0.0.1:50200 …
//
// The name of a process may hold anything, so what follows it is found from its end. The flags are explained in the kernel's
// Documentation/trace/ftrace.rst; the process group is there when the option record-tgid is set.
var traceLine = regexp.MustCompile(`^ *(.+)-(\d+) +(?:\( *(\d+|-+)\) +)?\[\d+\] (\S+) +(\d+)\.(\d{6}): (tcp_send_reset|tcp_receive_reset): (.*)$`)

// lostLine stands where a processor's buffer ran over; without a number it ran over by an unknown one.
var lostLine = regexp.MustCompile(`^CPU:\d+ \[LOST (?:(\d+) )?EVENTS\]$`)

// parseLost reads how many events a line says to be lost; ok is false for any other line.
func parseLost(line string) (lost uint64, ok bool) {
	m := lostLine.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	if lost, err := strconv.ParseUint(m[1], 10, 64); err == nil {
		return lost, true
	}
	return 1, true
}

// parseTrace reads a line about a reset; ok is false for any other line.
func parseTrace(line string) (e event, ok bool) {
	m := traceLine.FindStringSubmatch(line)
	if m == nil {
		return e, false
	}
	seconds, err1 := strconv.ParseInt(m[5], 10, 32)
	micros, err2 := strconv.ParseInt(m[6], 10, 32)
	if err1 != nil || err2 != nil {
		return e, false
	}
	e.at = time.Duration(seconds)*time.Second + time.Duration(micros)*time.Microsecond
	fields := traceFields(m[8])
	if m[7] == "tcp_receive_reset" {
		e.to, e.from, ok = fields.socketEnds()
		return e, ok
	}
	e.sent = true
	if fields["src"] != "" {
		from, err1 := netip.ParseAddrPort(fields["src"])
		to, err2 := netip.ParseAddrPort(fields["dest"])
		if err1 != nil || err2 != nil {
			return e, false
		}
		e.from, e.to = endOf(from), endOf(to)
	} else if e.from, e.to, ok = fields.socketEnds(); !ok { // before 6.10
		return e, false
	}
	e.state, e.reason = tcpStates[fields["state"]], reasonTold(fields["reason"])
	if e.to.port == 0 { // a socket that listens has no far end
		e.listener, e.from, e.to = true, end{port: e.from.port}, end{}
	}
	// It answers no packet, and no interrupt is being served (the third flag): the process that runs has called for it.
	if skb, told := fields["skbaddr"]; told && strings.Trim(skb, "0") == "" && len(m[4]) > 2 && m[4][2] == '.' && m[1] != "<...>" {
		pid := m[2]
		if m[3] != "" && m[3][0] != '-' {
			pid = m[3]
		}
		if n, err := strconv.ParseUint(pid, 10, 32); err == nil {
			e.process, e.pid = m[1], uint32(n)
		}
	}
	return e, true
}

// reasonTold is the name of a reason, or nothing when the kernel gave none.
func reasonTold(name string) string {
	if name == "NOT_SPECIFIED" {
		return ""
	}
	return name
}

// tellsAll reads in the format of tcp_send_reset whether it has reasons; with those, in 6.10, came resets made without a full
// socket.
func tellsAll(format []byte) bool {
	return bytes.Contains(format, []byte("field:enum sk_rst_reason reason;"))
}

// traceValues are the fields of an event, by name.
type traceValues map[string]string

func traceFields(text string) traceValues {
	fields := traceValues{}
	for word := range strings.FieldsSeq(text) {
		if name, value, ok := strings.Cut(word, "="); ok {
			fields[name] = value
		}
	}
	return fields
}

// socketEnds are a socket's addresses where each part is a field: those of IPv6 hold IPv4 ones, too.
func (f traceValues) socketEnds() (local, remote end, ok bool) {
	own, err1 := netip.ParseAddr(f["saddrv6"])
	far, err2 := netip.ParseAddr(f["daddrv6"])
	ownPort, err3 := strconv.ParseUint(f["sport"], 10, 16)
	farPort, err4 := strconv.ParseUint(f["dport"], 10, 16)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return end{}, end{}, false
	}
	return end{own.As16(), uint16(ownPort)}, end{far.As16(), uint16(farPort)}, true
}

// tcpStates are the names of include/net/tcp_states.h.
var tcpStates = map[string]uint8{
	"TCP_ESTABLISHED": 1, "TCP_SYN_SENT": 2, "TCP_SYN_RECV": 3, "TCP_FIN_WAIT1": 4, "TCP_FIN_WAIT2": 5, "TCP_TIME_WAIT": 6,
	"TCP_CLOSE": 7, "TCP_CLOSE_WAIT": 8, "TCP_LAST_ACK": 9, "TCP_LISTEN": 10, "TCP_CLOSING": 11, "TCP_NEW_SYN_RECV": 12,
}
