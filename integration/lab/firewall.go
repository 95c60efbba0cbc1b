package lab

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
)

// HasNFT returns nil when hosts can be given firewalls here: hosts can be made, nft is installed, and the kernel takes
// its rules.
func HasNFT() error { return hasNFT() }

var hasNFT = sync.OnceValue(func() error {
	if err := Available(); err != nil {
		return err
	}
	n, err := New(Options{})
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Router.NFT("table inet probe { chain c { type filter hook forward priority 0; tcp dport 1 counter reject with tcp reset; }; }")
})

// NFT runs a script of nft in the host, all of it or nothing (nft -f). It adds to the rules that are there.
func (h *Host) NFT(script string) error {
	_, err := h.nft(script, "-f", "-")
	return err
}

// FlushNFT removes all rules of the host.
func (h *Host) FlushNFT() error { return h.NFT("flush ruleset") }

// Rules lists the rules of the host with their counters.
func (h *Host) Rules() (string, error) { return h.nft("", "list", "ruleset") }

func (h *Host) nft(stdin string, args ...string) (string, error) {
	path, err := tool("nft")
	if err != nil {
		return "", fmt.Errorf("firewalls need nft (Debian package nftables): %w", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return h.Run(cmd)
}
