// Command bench measures what whyreset costs beside HAProxy, nginx's stream module and a plain relay in Go: the same
// work through each of them in turn, and the processor time and memory that each of them took for it.
//
//	go run ./integration/bench
//	go run ./integration/bench -seconds 2 -rounds 9 -json
//	go run ./integration/bench -works connections,resets -contestants haproxy,whyreset-packets
//	go run ./integration/bench -syscalls
//
// It is for comparing relays on one machine in one run. It says nothing about a network, for there is none, and its
// absolute figures are those of the machine and of whatever else runs there. README.md says how to read them.
package main
