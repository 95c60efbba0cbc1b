// Command bench measures what whyreset costs beside HAProxy and nginx's stream module: the same work through each of
// them in turn, on loopback, and the processor time that each of them took for it.
//
//	go run ./integration/bench
//	go run ./integration/bench -seconds 2 -rounds 9 -json
//	go run ./integration/bench -sources
//
// It is for comparing relays on one machine in one run. It says nothing about a network, for there is none, and its
// absolute figures are those of the machine and of whatever else runs there. README.md says how to read them.
package main
