package config

import (
	"regexp"
	"strings"
)

// envPrefix begins every variable of this program.
const envPrefix = "WHYRESET_"

// forTests matches variables that steer the tests of this repository; a test
// must be able to start the program with them set.
var forTests = regexp.MustCompile(`^WHYRESET_(?:TEST_|LAB$|LAB_)`)

// envName is the variable of a key: timeouts.connect is WHYRESET_TIMEOUTS_CONNECT.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// readEnv reads the variables of the program out of environ ("NAME=value"). A
// variable with the prefix that is no key is an error: otherwise a misspelt one
// would never be noticed.
//
// Viper's own reading of the environment is not used: it goes to the process
// environment, skips keys that have no default, takes an empty variable for an
// absent one and a misspelt one for none.
func readEnv(environ []string, s supported) *layer {
	l := newLayer()
	keys := map[string]field{}
	for _, sc := range scalars(Defaults()) {
		keys[envName(sc.path)] = sc.field
	}
	seen := map[string]bool{}
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || seen[name] {
			continue
		}
		seen[name] = true // of two equal names the first counts, as with getenv(3)
		f, known := keys[name]
		at := Origin{Kind: FromEnv, Name: name}
		switch {
		case known:
			l.take(f, value, at, s)
		case !strings.HasPrefix(strings.ToUpper(name), envPrefix),
			forTests.MatchString(name),
			fromKubernetes(name, value):
		default:
			l.unknownVariable(at, value)
		}
	}
	return l
}

// serviceLink matches the variables that the kubelet sets in every pod for a
// Service, here one whose name begins with "whyreset" (as by docker --link):
// nobody wrote them, so they cannot be mistakes.
var (
	serviceLink = regexp.MustCompile(`^WHYRESET_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$`)
	servicePort = regexp.MustCompile(`^WHYRESET_(?:[A-Z0-9_]+_)?PORT$`)
	serviceURL  = regexp.MustCompile(`^(?:tcp|udp|sctp)://`)
)

func fromKubernetes(name, value string) bool {
	return serviceLink.MatchString(name) || servicePort.MatchString(name) && serviceURL.MatchString(value)
}

func (l *layer) unknownVariable(at Origin, value string) {
	var names []string
	for _, sc := range scalars(Defaults()) {
		names = append(names, envName(sc.path))
	}
	bad := &fault{what: "is set, and no key has this variable", suggest: nearest(at.Name, names)}
	rest := strings.TrimPrefix(strings.ToUpper(at.Name), envPrefix)
	for _, f := range rootFields() {
		section := strings.ToUpper(f.key)
		switch {
		case f.kind == kindList && (rest == section || strings.HasPrefix(rest, section+"_")):
			bad = &fault{what: "listeners cannot be set by variables", allowed: "the file, or --forward LISTEN=UPSTREAM"}
		case f.kind == kindSection && rest == section:
			var below []string
			for _, k := range fieldsOf(f.typ, f.path+".") {
				below = append(below, envName(k.path))
			}
			bad = &fault{what: f.key + " is a section and has no value of its own", allowed: strings.Join(below, ", ")}
		}
	}
	l.fail(at, "", &value, bad)
}
