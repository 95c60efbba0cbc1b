package config

// rules checks that listeners and placement fit together. What can be placed where is not known here: see Source.Check.
func (v *validator) rules() {
	if v.failed.has("rules.placement") {
		return
	}
	placed := v.Rules.Placement != PlacementNone
	led := 0
	for i, l := range v.Listeners {
		if v.failed.has(listenerPath(i, "mode")) {
			return
		}
		if l.Mode == ModeForward {
			continue
		}
		led++
		for _, k := range [...]struct{ key, text, usual string }{
			{"ports", l.Ports, ""}, {"interfaces", l.Interfaces, ""}, {"direction", string(l.Direction), string(DirectionBoth)},
		} {
			if path := listenerPath(i, k.key); !placed && k.text != k.usual && !v.failed.has(path) {
				v.fail(path, &k.text, &fault{what: "has no use without packet rules", allowed: "the default, or a rules.placement such as router"})
			}
		}
		if path := listenerPath(i, "ports"); placed && l.Ports == "" && !v.failed.has(path) {
			v.fail(path, nil, &fault{what: "is missing, and the packet rules would take nothing for this listener", allowed: allowed(field{path: "listeners[].ports"})})
		}
	}
	if placed && led == 0 && len(v.Listeners) > 0 {
		text := string(v.Rules.Placement)
		v.fail("rules.placement", &text, &fault{what: "has no use without a listener of mode redirect or tproxy", allowed: "none, or such a listener"})
	}
}
