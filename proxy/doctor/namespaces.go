package doctor

// namespaces is about those that an ordinary user makes the demo and the tests in. They are nothing to a proxy, so this is
// told only where none is configured.
func (e *examiner) namespaces() {
	if len(e.Config.Listeners) > 0 {
		return
	}
	f := Finding{ID: "user_namespaces", Area: Kernel, Level: OK, What: "an ordinary user may make namespaces: the demo plays between hosts of its own"}
	most, known := e.number("user.max_user_namespaces")
	allowed, asked := e.number("kernel.unprivileged_userns_clone")              // Debian's
	apart, armoured := e.number("kernel.apparmor_restrict_unprivileged_userns") // Ubuntu's
	no := ""
	switch {
	case !known || most == 0:
		no = "user.max_user_namespaces=0"
	case asked && allowed == 0:
		no = "kernel.unprivileged_userns_clone=0"
	case armoured && apart == 1:
		no = "kernel.apparmor_restrict_unprivileged_userns=1"
	}
	if no != "" {
		f.Level, f.What = Note, "an ordinary user may not make namespaces: "+no
		f.Why = "whyreset demo then plays on the loopback interface, without firewalls and lossy networks"
		f.Do = "nothing for the proxy, which needs none; run the demo as root to see it all"
	}
	e.add(f)
}
