// Package lab is a small network of real hosts, made without root, in which connections can be cut for real: by
// firewalls, by silence, by a host that went away, by a peer that was told how to end.
//
//	client 10.77.1.2 ---- 10.77.1.1 router 10.77.2.1 ---- 10.77.2.2 server
//	      fd77:1::2 ---- fd77:1::1        fd77:2::1 ---- fd77:2::2
//
// Each host is a network namespace of the running kernel. To make one a process needs privileges that an ordinary user
// has only in a user namespace of their own, so a program that wants the lab begins in [Main], which starts it once more
// inside one:
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }
//
//	n, err := lab.New(lab.Options{})
//	defer n.Close()
//	err = n.Router.NFT("table inet lab { chain f { type filter hook forward priority 0; tcp dport 81 reject with tcp reset; }; }")
//	ln, err := n.Server.Listen("tcp", ":80")
//	peer := lab.Serve(ln, lab.Script{Steps: []lab.Step{lab.Read(100), lab.Reset()}})
//	conn, err := n.Client.Dial(ctx, "tcp", netip.AddrPortFrom(n.Server.Addr4(), 80))
//	outcome := lab.Run(ctx, conn, lab.Script{Steps: []lab.Step{lab.Write(100), lab.ReadAll()}})
//
// Scripted peers need no namespace: [Serve] and [Run] work on any connection of the net package, so a test that plain
// loopback serves should use that.
//
// Where namespaces are refused, as in many containers, [Available] says at which step and what the likely cause is;
// [Need] turns that into a skip, or into a failure where [RequireVar] asks for it.
//
// The lab returns errors and knows nothing of the testing package. It is no sandbox: what runs in a host sees the
// files and processes of the machine.
package lab
