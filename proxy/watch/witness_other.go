//go:build !linux

package watch

import "errors"

// OpenWitness is for Linux only.
func OpenWitness() (*Witness, error) {
	return nil, &Unwatched{Why: "not Linux", Err: errors.ErrUnsupported}
}
