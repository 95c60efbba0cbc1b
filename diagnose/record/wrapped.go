package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// errForeign is the error for what has nothing to do with whyreset.
var errForeign = fmt.Errorf("another program's: %w", ErrOther)

// maxWraps bounds how often a record may be wrapped.
const maxWraps = 5

// begins is how a record begins that Append has written.
var begins = []byte(`{"@timestamp":"`)

// readLine reads a record, wrapped or not, with anything before it.
func readLine(line []byte, wraps int) (*Connection, error) {
	line = bytes.TrimSpace(line)
	if !ours(line) && !bytes.Contains(line, []byte(`"MESSAGE"`)) {
		return nil, errForeign
	}
	if len(line) > 0 && line[0] == '"' {
		return readString(line, wraps)
	}
	at := bytes.Index(line, begins)
	if at != 0 && len(line) > 0 && line[0] == '{' && json.Valid(line) {
		return readObject(line, wraps)
	}
	if at < 0 {
		at = bytes.Index(line, []byte(`{"`))
	}
	if at < 0 || wraps > maxWraps {
		return nil, errForeign
	}
	line = line[at:]
	c, err := readObject(line, wraps)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return c, err
	}
	var first json.RawMessage // something may follow it
	if json.NewDecoder(bytes.NewReader(line)).Decode(&first) == nil {
		return readObject(first, wraps)
	}
	if !bytes.HasPrefix(line, begins) {
		err = errForeign // a text that has a bracket in it
	}
	return nil, err
}

// readString reads a line that is a JSON string.
func readString(text []byte, wraps int) (*Connection, error) {
	if !ours(text) {
		return nil, errForeign
	}
	var line string
	if err := json.Unmarshal(text, &line); err != nil {
		return nil, errForeign
	}
	return readLine([]byte(line), wraps+1)
}

// Where an object carries a record.
var (
	textKeys   = []string{"line", "log", "message", "MESSAGE", "msg", "_msg", "_raw"}
	objectKeys = []string{"_source", "fields", "json", "log_processed", "jsonPayload"}
	innerKeys  = [][2]string{{"event", "original"}, {"body", "text"}, {"body", "stringValue"}} // a text within an object
)

// readObject reads a record, or an object that carries one.
func readObject(text []byte, wraps int) (*Connection, error) {
	if !ours(text) && !bytes.Contains(text, []byte(`"MESSAGE"`)) {
		return nil, errForeign
	}
	if asWritten(text) {
		return parse(text)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("not a record: %w", err)
	}
	err := errForeign
	if hasOwn(members) {
		c, own := readRestored(text)
		if own == nil {
			return c, nil
		}
		err = own
	}
	if wraps > maxWraps {
		return nil, err
	}
	try := func(c *Connection, inner error) bool {
		if inner == nil {
			return true
		}
		// What says most of this line is told: a damaged record of ours, then one that is whole and of another kind.
		if errors.Is(err, errForeign) || errors.Is(err, ErrOther) && !errors.Is(inner, ErrOther) {
			err = inner
		}
		return false
	}
	for _, key := range objectKeys {
		if v := members[key]; len(v) > 0 && v[0] == '{' {
			if c, inner := readObject(v, wraps+1); try(c, inner) {
				return c, nil
			}
		}
	}
	for _, key := range textKeys {
		v := members[key]
		switch {
		case len(v) == 0:
		case v[0] == '"':
			if c, inner := readString(v, wraps); try(c, inner) {
				return c, nil
			}
		case key == "MESSAGE":
			if c, inner := readJournal(v, text, wraps); try(c, inner) {
				return c, nil
			}
		}
	}
	for _, key := range innerKeys {
		if text, ok := member(members, key[0], key[1]); ok {
			if c, inner := readString(text, wraps); try(c, inner) {
				return c, nil
			}
		}
	}
	return nil, err
}

// member finds a member of a member, under its name with a dot as well.
func member(members map[string]json.RawMessage, outer, name string) (json.RawMessage, bool) {
	if v, ok := members[outer+"."+name]; ok {
		return v, len(v) > 0 && v[0] == '"'
	}
	var inner map[string]json.RawMessage
	if v := members[outer]; len(v) == 0 || v[0] != '{' || json.Unmarshal(v, &inner) != nil {
		return nil, false
	}
	v := inner[name]
	return v, len(v) > 0 && v[0] == '"'
}

// readJournal reads a message that journalctl does not give as a text: as an array of bytes, when one is no character, or as
// null, when it is longer than 4096 bytes and was not asked for.
func readJournal(message, entry []byte, wraps int) (*Connection, error) {
	if string(message) == "null" {
		if !ours(entry) {
			return nil, errForeign
		}
		return nil, errors.New("journalctl has left out the message, which is longer than 4096 bytes; give it --all")
	}
	var numbers []uint16 // encoding/json takes a []byte for base64
	if err := json.Unmarshal(message, &numbers); err != nil {
		return nil, errForeign
	}
	line := make([]byte, len(numbers))
	for i, n := range numbers {
		line[i] = byte(n)
	}
	return readLine(line, wraps+1)
}
