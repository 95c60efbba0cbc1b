//go:build !linux

package rules

import (
	"context"
	"errors"
	"fmt"
)

var errSystem = fmt.Errorf("packet rules need Linux: %w", errors.ErrUnsupported)

func (*Plan) Apply(context.Context, string) error                       { return errSystem }
func Remove(context.Context, string) error                              { return errSystem }
func Release(context.Context, string) error                             { return errSystem }
func Sweep(context.Context, string, uint32) (taken []string, err error) { return nil, errSystem }
func Leftovers(string, uint32) (all []string, err error)                { return nil, errSystem }
func Listening(uint16) bool                                             { return false }
func Status(string) (State, error)                                      { return State{}, errSystem }
func Carried(string) (int, error)                                       { return 0, errSystem }
func Allowed() error                                                    { return errSystem }
func StateFile(string) (string, error)                                  { return "", errSystem }
func NewLock(string) (*Lock, error)                                     { return nil, errSystem }
func Holder(string) int                                                 { return 0 }

// Lock is not to be had here.
type Lock struct{}

func (*Lock) Release() error { return errSystem }

// HeldError does not come here.
type HeldError struct {
	Process   int
	StateFile string
}

func (e *HeldError) Error() string { return errSystem.Error() }
