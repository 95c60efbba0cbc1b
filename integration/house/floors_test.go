package house

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// floors gives each package its floor: it may import only packages of lower ones. A package that is not built yet may
// stand here already; one that is built must.
var floors = map[string]int{
	"config":                  0,
	"diagnose/evidence":       0,
	"diagnose/header":         0,
	"proxy/kernel":            0,
	"diagnose/cause":          1,
	"diagnose/packet":         1,
	"proxy/intercept":         1,
	"proxy/rules":             1,
	"diagnose":                2,
	"integration/lab":         2,
	"proxy/relay":             2,
	"proxy/watch":             2,
	"diagnose/pattern":        3,
	"diagnose/render":         3,
	"integration/scenario":    3,
	"diagnose/record":         4,
	"diagnose/replay":         5,
	"proxy/telemetry":         5,
	"proxy/admin":             6,
	"proxy":                   7,
	"proxy/doctor":            8,
	"cmd/whyreset":            9,
	"integration":             10,
	"integration/bench":       10,
	"integration/trial":       5,
	"integration/house":       10,
	"integration/house/skips": 10,
}

// A door is a library that only some packages may import, so that what it can do wrong is looked for in few places.
type door struct {
	library string   // the import path, or the top of several
	rooms   []string // who may use it, with the packages below them
	tests   bool     // whether test files of other packages are kept out, too
	why     string
}

var doors = []door{
	{library: "github.com/spf13/viper", rooms: []string{"config"}, tests: true,
		why: "it takes misspelt keys in silence; config is where that is mended"},
	{library: "github.com/rs/zerolog", rooms: []string{"diagnose/record", "proxy/telemetry", "cmd"}, tests: true,
		why: "packages below return what they found; only the top floors log"},
	{library: "golang.org/x/sys", rooms: []string{"proxy/kernel", "proxy/rules", "proxy/watch", "integration/lab"}, tests: true,
		why: "everyone else asks proxy/kernel and speaks Go types"},
	{library: "os/exec", rooms: []string{"proxy/rules", "cmd", "integration"},
		why: "the serving path starts no process"},
}

// pure holds the packages that turn evidence into a verdict: the same evidence must give the same verdict on any
// machine on any day, so they have no way to ask the system for anything.
var (
	pure    = []string{"diagnose", "diagnose/cause", "diagnose/evidence", "diagnose/header", "diagnose/packet"}
	outside = []string{"io/fs", "io/ioutil", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/signal", "os/user"}
)

func floorFaults(t testing.TB, root string) []string {
	var faults []string
	for _, r := range readRooms(t, root) {
		floor, known := floors[r.dir]
		if !known {
			faults = append(faults, fmt.Sprintf("%s stands nowhere: give it a floor in integration/house/floors_test.go", r.dir))
			continue
		}
		for _, file := range r.files {
			for _, imported := range file.imports() {
				for _, fault := range importFaults(r.dir, floor, file.test, imported) {
					faults = append(faults, fmt.Sprintf("%s/%s imports %s: %s", r.dir, file.name, imported, fault))
				}
			}
		}
	}
	return faults
}

// importFaults judges one import. Test files may import upwards, since nobody imports them; the other rules bind them.
func importFaults(dir string, floor int, test bool, imported string) (faults []string) {
	if target, ours := strings.CutPrefix(imported, module+"/"); ours {
		at, known := floors[target]
		switch {
		case within(dir, "diagnose") && within(target, "proxy"):
			faults = append(faults, "diagnose must work without the proxy")
		case !known:
			faults = append(faults, "it has no floor")
		case !test && at >= floor:
			faults = append(faults, fmt.Sprintf("%s is on floor %d and may use only lower ones, not floor %d", dir, floor, at))
		}
		return faults
	}
	for _, d := range doors {
		hit := imported == d.library || strings.HasPrefix(imported, d.library+"/")
		allowed := slices.ContainsFunc(d.rooms, func(top string) bool { return within(dir, top) })
		if hit && !allowed && (d.tests || !test) {
			faults = append(faults, fmt.Sprintf("only %s may: %s", strings.Join(d.rooms, ", "), d.why))
		}
	}
	if !test && slices.Contains(pure, dir) && slices.Contains(outside, imported) {
		faults = append(faults, "a diagnosis depends on its evidence alone")
	}
	return faults
}

func TestFloors(t *testing.T) {
	report(t, floorFaults(t, moduleRoot(t)))
}

func TestFloorsNoticesBreaches(t *testing.T) {
	tryBreaches(t, []breach{
		{name: "downwards is fine", files: map[string]string{
			"proxy/relay/loop.go":       "package relay\nimport _ \"whyreset/proxy/kernel\"\nimport _ \"whyreset/diagnose/evidence\"\n",
			"proxy/kernel/socket.go":    "package kernel\nimport _ \"golang.org/x/sys/unix\"\n",
			"diagnose/evidence/kind.go": "package evidence\nimport _ \"net/netip\"\n",
			"config/config.go":          "package config\nimport _ \"github.com/spf13/viper\"\n",
			"cmd/whyreset/main.go":      "package main\nimport _ \"github.com/rs/zerolog/log\"\n",
		}},
		{name: "a test may look up", files: map[string]string{
			"diagnose/cause/cause_test.go": "package cause\nimport _ \"whyreset/diagnose\"\nimport _ \"os\"\nimport _ \"os/exec\"\n",
		}},
		{name: "what git and go leave out is left out", files: map[string]string{
			"proxy/testdata/a.go": "package a\nimport _ \"golang.org/x/sys/unix\"\n",
			"_old/a.go":           "package a\n",
			"tools/go.mod":        "module tools\n",
			"tools/a.go":          "package a\n",
		}},
		{name: "upwards", files: map[string]string{
			"diagnose/evidence/a.go": "package evidence\nimport _ \"whyreset/diagnose\"\n",
		}, want: []string{"diagnose/evidence/a.go imports whyreset/diagnose: diagnose/evidence is on floor 0"}},
		{name: "same floor", files: map[string]string{
			"proxy/rules/a.go": "package rules\nimport _ \"whyreset/proxy/intercept\"\n",
		}, want: []string{"not floor 1"}},
		{name: "upwards on another system only", files: map[string]string{
			"proxy/kernel/a_windows.go": "package kernel\nimport _ \"whyreset/proxy\"\n",
		}, want: []string{"proxy/kernel is on floor 0"}},
		{name: "no floor", files: map[string]string{
			"proxy/utils/a.go": "package utils\n",
		}, want: []string{"proxy/utils stands nowhere: give it a floor"}},
		{name: "no floor for the imported", files: map[string]string{
			"proxy/a.go": "package proxy\nimport _ \"whyreset/proxy/utils\"\n",
		}, want: []string{"it has no floor"}},
		{name: "diagnose on proxy", files: map[string]string{
			"diagnose/replay/a.go": "package replay\nimport _ \"whyreset/proxy/kernel\"\n",
		}, want: []string{"diagnose must work without the proxy"}},
		{name: "diagnose on proxy in a test", files: map[string]string{
			"diagnose/replay/a_test.go": "package replay\nimport _ \"whyreset/proxy\"\n",
		}, want: []string{"diagnose must work without the proxy"}},
		{name: "viper", files: map[string]string{
			"cmd/whyreset/run.go": "package main\nimport _ \"github.com/spf13/viper\"\n",
		}, want: []string{"only config may"}},
		{name: "zerolog", files: map[string]string{
			"proxy/relay/a.go": "package relay\nimport _ \"github.com/rs/zerolog\"\n",
		}, want: []string{"only the top floors log"}},
		{name: "x/sys", files: map[string]string{
			"proxy/relay/a_linux.go": "package relay\nimport _ \"golang.org/x/sys/unix\"\n",
		}, want: []string{"speaks Go types"}},
		{name: "x/sys in a test", files: map[string]string{
			"proxy/relay/a_test.go": "package relay\nimport _ \"golang.org/x/sys/unix\"\n",
		}, want: []string{"speaks Go types"}},
		{name: "a process in the serving path", files: map[string]string{
			"proxy/intercept/a.go": "package intercept\nimport _ \"os/exec\"\n",
		}, want: []string{"starts no process"}},
		{name: "a rule that looks about", files: map[string]string{
			"diagnose/cause/a.go": "package cause\nimport _ \"os\"\n",
		}, want: []string{"on its evidence alone"}},
	}, floorFaults)
}
