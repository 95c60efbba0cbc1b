// Package rules is what the kernel must be told so that connections meant for others reach the proxy: packet rules,
// policy routes and kernel parameters, as a value that can be shown, applied, looked at and taken away.
//
//	plan, err := rules.New(rules.Settings{
//		Placement: rules.Router,
//		Mark:      rules.DefaultMark,
//		Captures:  []rules.Capture{{Name: "db", Mode: rules.TProxy, Source: rules.SourceClient, Port: 15001, Ports: []rules.PortRange{{5432, 5432}}}},
//	})
//	fmt.Print(plan.Script())                     // the same by hand, with nft and ip
//	file, err := rules.StateFile("/run/whyreset")
//	lock, err := rules.NewLock(file)
//	err = plan.Apply(ctx, file)
//	…
//	err = rules.Remove(ctx, file)
//
// A plan is computed from its settings alone; it asks the system nothing. All packet rules stand in one table of their
// own, put there in one atomic change; routes and routing rules carry a protocol number; a state file is written before
// the first change, so that Remove takes away exactly what was put, also after a crash half-way. What has lost its state file
// is known by a comment and that number (Sweep).
//
// Only a connection's first packet (SYN) is ever turned towards the proxy. So what is already established when rules are
// applied, or was established directly while the proxy was dead, goes on undisturbed.
//
// It is not a firewall: it lets nothing through and stops nothing. What proxy and sockets must do for their part is in
// package intercept.
package rules
