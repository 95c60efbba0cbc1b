package record

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
)

// asWritten says that an object has the form that Append gives it, so that nothing needs to be restored.
func asWritten(text []byte) bool {
	return bytes.HasPrefix(text, begins) && bytes.Contains(text, []byte(`"event":{"kind":"event",`)) &&
		(bytes.Contains(text, []byte(`"dataset":"`+datasetProgram+`"`)) || bytes.Contains(text, []byte(`"whyreset":{`)))
}

// readRestored reads an object that is a record in another form: Elasticsearch and what feeds it write names with dots for
// objects or the other way round, a single value for an array or the other way round, and add fields of their own.
func readRestored(text []byte) (*Connection, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	flat := make(map[string]any, len(Fields))
	nameAll(flat, "", object)
	// An agent may have put another dataset in the place of ours, or ours on a line that it did not decode.
	dataset, _ := single(flat["event.dataset"]).(string)
	_, ended := flat["whyreset.verdict.cause"]
	switch {
	case ended:
		flat["event.dataset"] = datasetConnection
	case !strings.HasPrefix(dataset, "whyreset."):
		return nil, errForeign
	case dataset == datasetProgram:
		return nil, ErrOther
	}
	restored, err := json.Marshal(restore(flat))
	if err != nil {
		return nil, err
	}
	return parse(restored)
}

// hasOwn says that one of the members is of whyreset, or has such.
func hasOwn(members map[string]json.RawMessage) bool {
	for name := range members {
		if name == "whyreset" || strings.HasPrefix(name, "whyreset.") {
			return true
		}
	}
	return false
}

// nameAll gives each value the whole of its name.
func nameAll(into map[string]any, prefix string, object map[string]any) {
	for name, v := range object {
		name = prefix + name
		if inner, ok := v.(map[string]any); ok {
			nameAll(into, name+".", inner)
		} else if _, twice := into[name]; !twice || v != nil {
			into[name] = v
		}
	}
}

// restore builds the record out of the fields that it knows.
func restore(flat map[string]any) map[string]any {
	record := map[string]any{}
	for i := range Fields {
		f := &Fields[i]
		v, ok := flat[f.Name]
		if !ok || v == nil {
			continue
		}
		if f.Many {
			if _, array := v.([]any); !array {
				v = []any{v}
			}
		} else {
			v = single(v)
		}
		if text, isText := v.(string); isText {
			switch f.Type {
			case Long:
				v = json.Number(text)
			case Boolean:
				v = text == "true"
			}
		}
		if n, isNumber := v.(json.Number); isNumber && f.Type == Long {
			if x, err := n.Float64(); err == nil && strings.ContainsAny(n.String(), ".eE") && x == math.Trunc(x) && math.Abs(x) <= maxInteger {
				v = int64(x) // some know of no integers
			}
		}
		object, name := record, f.Name
		for !dotted(f.Name) {
			outer, inner, more := strings.Cut(name, ".")
			if !more {
				break
			}
			next, _ := object[outer].(map[string]any)
			if next == nil {
				next = map[string]any{}
				object[outer] = next
			}
			object, name = next, inner
		}
		object[name] = v
	}
	return record
}

// dotted says that Append writes the field's name with its dots.
func dotted(name string) bool {
	return strings.HasPrefix(name, "log.") || strings.HasPrefix(name, "ecs.")
}

// single gives the value of an array of one, as Elasticsearch's option fields writes them.
func single(v any) any {
	if array, ok := v.([]any); ok && len(array) == 1 {
		return array[0]
	}
	return v
}
