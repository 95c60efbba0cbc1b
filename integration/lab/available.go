package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// ErrUnavailable is what every [Unavailable] is, for errors.Is.
var ErrUnavailable = errors.New("hosts cannot be made here")

// Unavailable says that the lab cannot be had here, and why.
type Unavailable struct {
	Step string // what was tried: the call with its flags, or a few words
	Err  error  // what came of it, an errno wherever the kernel said no
	Hint string // a likely cause, as far as this process can see one; may be empty
}

func (u *Unavailable) Error() string {
	text := u.Step + ": " + u.Err.Error()
	if u.Hint != "" {
		text += " (" + u.Hint + ")"
	}
	return text
}

func (u *Unavailable) Unwrap() error { return u.Err }

func (u *Unavailable) Is(target error) bool { return target == ErrUnavailable }

// unavailable adds the likely cause.
func unavailable(step string, err error) *Unavailable {
	return &Unavailable{Step: step, Err: err, Hint: likelyCause(err, readLine)}
}

// What is known so far. A kernel's answer does not change while a process runs, so it is asked once.
var (
	known       sync.Mutex
	answered    bool
	answer      error // meaningful once answered
	mainRefused error // why Main went on in its own process
)

// Available returns nil when this process can make hosts: because [Main] put it where that is allowed, or because it may
// do so without. Otherwise the error is an [Unavailable]: the refusal that Main met, and that of this process.
func Available() error {
	known.Lock()
	defer known.Unlock()
	if !answered {
		answer, answered = try(), true
		if answer != nil && mainRefused != nil {
			answer = mainRefused // of the two ways the one that was meant to work
		}
	}
	return answer
}

// Refused returns why [Main] went on in the process it was called in, or nil if it did not. A program for people should
// say so: even if hosts can be made there, what is not in one of them is on the machine's own network.
func Refused() error {
	known.Lock()
	defer known.Unlock()
	return mainRefused
}

func recordRefusal(err error) {
	known.Lock()
	defer known.Unlock()
	mainRefused = err
}

func proved() {
	known.Lock()
	defer known.Unlock()
	answer, answered = nil, true
}

// try makes a lab and removes it: the one probe that cannot be wrong.
func try() error {
	n, err := New(Options{})
	if err != nil {
		return err
	}
	return n.Close()
}

// Feature is something a test may need beyond what every machine has.
type Feature string

const (
	Netns Feature = "netns" // hosts can be made: Available
	NFT   Feature = "nft"   // and given firewalls: HasNFT
	SS    Feature = "ss"    // and their sockets destroyed: HasSS

	Tcpkill Feature = "tcpkill" // and connections cut from between: HasTcpkill
)

// RequireVar is the environment variable that names, separated by commas, the features this machine is meant to have.
// CI sets it, so that a test is not skipped for ever without anyone noticing.
const RequireVar = "WHYRESET_TEST_REQUIRE"

// Need is for tests. With all features there, both results are zero. If one is missing, skip is the reason to skip with;
// but if [RequireVar] names that feature, it is err that is set, and the test is to fail.
//
//	if skip, err := lab.Need(lab.NFT); err != nil {
//		t.Fatal(err)
//	} else if skip != "" {
//		t.Skip(skip)
//	}
func Need(features ...Feature) (skip string, err error) {
	// Asked for in the test, not in Main: so the go command sees it, and does not answer from its cache when it changes.
	required := strings.Split(os.Getenv(RequireVar), ",")
	for _, f := range features {
		what, missing := f.missing()
		if missing == nil {
			continue
		}
		for _, name := range required {
			if strings.TrimSpace(name) == string(f) {
				return "", fmt.Errorf("%s requires %s, and it is not there: %w", RequireVar, f, missing)
			}
		}
		if skip == "" {
			skip = fmt.Sprintf("needs %s: %v", what, missing)
		}
	}
	return skip, nil
}

func (f Feature) missing() (what string, err error) {
	switch f {
	case Netns:
		return "network namespaces", Available()
	case NFT:
		return "nftables in network namespaces", HasNFT()
	case SS:
		return "ss in network namespaces", HasSS()
	case Tcpkill:
		return "tcpkill in network namespaces", HasTcpkill()
	}
	return string(f), fmt.Errorf("no feature is called %q", string(f))
}
