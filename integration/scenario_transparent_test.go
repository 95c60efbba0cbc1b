package integration

import (
	"testing"

	"whyreset/diagnose/cause"
	"whyreset/integration/scenario"
)

// What a scenario looks like to a transparent proxy on a gateway, which goes on as the client, is what it looks like to one
// that forwards: the verdict is the same.
func TestScenarioVerdictsAreTheSameTransparent(t *testing.T) {
	forward := map[string]*play{}
	for _, p := range playAll() {
		if p.place.Hosts && !p.place.Transparent {
			forward[p.scenario.ID+familyOf(p.place)] = p
		}
	}
	compared := 0
	for _, p := range playAll() {
		f := forward[p.scenario.ID+familyOf(p.place)]
		if !p.place.Transparent || f == nil {
			continue
		}
		t.Run(p.name(), func(t *testing.T) {
			if p.skip != "" || p.err != nil || f.skip != "" || f.err != nil { // which TestScenarioVerdictsBySockets tells
				t.Skip("not played")
			}
			compared++
			got, want := p.result.Verdict(), f.result.Verdict()
			if got.Cause != want.Cause && scenario.Relatives(got.Cause, want.Cause) && got.Confidence != cause.Conclusive && want.Confidence != cause.Conclusive {
				t.Logf("got %s, want %s as forwarded: which of the two comes first is chance", got.Cause, want.Cause)
			} else if got.Cause != want.Cause || got.Side != want.Side || got.Confidence != want.Confidence || got.Action != want.Action || got.Origin != want.Origin {
				t.Errorf("got %s, side %s, origin %s, %s, %s, want %s, side %s, origin %s, %s, %s as forwarded", got.Cause, got.Side, got.Origin, got.Action, got.Confidence,
					want.Cause, want.Side, want.Origin, want.Action, want.Confidence)
			}
		})
	}
	t.Logf("%d verdicts compared", compared)
}

func familyOf(p scenario.Place) string {
	if p.IPv6 {
		return " IPv6"
	}
	return " IPv4"
}
