// Package scenario brings causes about for real: each file of a cause plays a client and a server whose connection ends
// in a way that is known, because it was done.
//
//	for _, s := range scenario.All() {
//		result := scenario.Play(ctx, s, scenario.Place{Hosts: true, IPv6: true}, proxies)
//		fmt.Println(s.ID, s.Cause, result.Through, result.Verdict().Cause)
//	}
//
// The truth beside a scenario, its cause and its side, comes from what the scenario does, never from the program under
// test. Most scenarios run on plain loopback as well as between the hosts of package lab, some only there, and each can
// run without the proxy too, to show that the client sees the same.
//
// The proxy runs in a process of its own, which the caller provides ([Proxies]): a socket belongs to the host in which
// its thread is. The package starts that process and servers to be killed by running the caller's program once more, so
// the program must lead to [Part] when it is started with the arguments of [Program].
//
// A run of each scenario, watched by every source, is stored in testdata as the record that the proxy wrote; README.md shows what is
// said of it by all sources, without the kernel's witness, and by sockets alone.
//
// It judges no more than whether a verdict is right ([Right]); tables and tests are made elsewhere.
package scenario
