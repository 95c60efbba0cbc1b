package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// kind is what sort of value a key takes.
type kind int

const (
	kindText     kind = iota + 1 // any text
	kindWord                     // one of a few words
	kindDuration                 // time.Duration, with unit
	kindCount                    // whole number
	kindRatio                    // 0 to 1
	kindMark                     // uint32, usually written in hexadecimal
	kindSection                  // keys below it
	kindList                     // items with keys below them
)

// field is one key as the Config struct declares it. The struct is the only
// schema: file, environment, flags, default file and comparison all walk it.
type field struct {
	key   string       // "connect"
	path  string       // "timeouts.connect"; below a list "listeners[].mode"
	kind  kind         //
	one   []string     // the words of a kindWord
	index int          // of the struct field
	typ   reflect.Type // the struct below a section or list
}

var durationType = reflect.TypeFor[time.Duration]()

// fieldsOf lists the keys of one struct, in order.
func fieldsOf(t reflect.Type, prefix string) []field {
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		sf := t.Field(i)
		f := field{key: sf.Tag.Get("yaml"), index: i}
		f.path = prefix + f.key
		switch {
		case sf.Type == durationType:
			f.kind = kindDuration
		case sf.Type.Kind() == reflect.Struct:
			f.kind, f.typ = kindSection, sf.Type
		case sf.Type.Kind() == reflect.Slice:
			f.kind, f.typ = kindList, sf.Type.Elem()
		case sf.Type.Kind() == reflect.Int:
			f.kind = kindCount
		case sf.Type.Kind() == reflect.Uint32:
			f.kind = kindMark
		case sf.Type.Kind() == reflect.Float64:
			f.kind = kindRatio
		case sf.Tag.Get("one") != "":
			f.kind, f.one = kindWord, strings.Split(sf.Tag.Get("one"), "|")
		case sf.Type.Kind() == reflect.String:
			f.kind = kindText
		default:
			// A type that no source could set would be a key that is silently ignored.
			panic("config: no kind for field " + t.Name() + "." + sf.Name)
		}
		fields = append(fields, f)
	}
	return fields
}

func rootFields() []field { return fieldsOf(reflect.TypeFor[Config](), "") }

func listenerFields() []field { return fieldsOf(reflect.TypeFor[Listener](), "listeners[].") }

// listenerPath is the key of the listener with that index, or of a part of it.
func listenerPath(i int, key string) string {
	path := "listeners[" + strconv.Itoa(i) + "]"
	if key != "" {
		path += "." + key
	}
	return path
}

// scalar is a key outside lists, with its value in a given Config.
type scalar struct {
	field
	value reflect.Value
}

// scalars lists all keys that environment and flags can set, in order of the
// struct, with their values in c.
func scalars(c *Config) []scalar {
	var out []scalar
	root := reflect.ValueOf(c).Elem()
	for _, section := range rootFields() {
		if section.kind != kindSection {
			continue
		}
		for _, f := range fieldsOf(section.typ, section.path+".") {
			out = append(out, scalar{f, root.Field(section.index).Field(f.index)})
		}
	}
	return out
}

// plainValue is a field's value as the sources hand it on: string,
// time.Duration, int, uint32 or float64, without the named string types.
func plainValue(v reflect.Value) any {
	if v.Kind() == reflect.String {
		return v.String()
	}
	return v.Interface()
}

// Key is one key of the configuration, for usage texts, manual and completion.
type Key struct {
	Path    string   // "timeouts.connect", which is the flag too; keys of a listener, which have none, "listeners[].mode"
	Env     string   // "WHYRESET_TIMEOUTS_CONNECT"; "" for keys of a listener
	Allowed string   // what may be written
	Words   []string // the words, where only certain words are allowed
	Doc     string   // unit, default and the meaning of zero, in whole sentences
}

// Keys lists every key that holds a value, in the order of the file.
func Keys() []Key {
	var keys []Key
	for _, f := range listenerFields() {
		keys = append(keys, Key{Path: f.path, Allowed: allowed(f), Words: f.one, Doc: keyDoc[f.path]})
	}
	for _, s := range scalars(Defaults()) {
		keys = append(keys, Key{Path: s.path, Env: envName(s.path), Allowed: allowed(s.field), Words: s.one, Doc: keyDoc[s.path]})
	}
	return keys
}
