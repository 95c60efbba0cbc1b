//go:build !linux

package rules

import (
	"context"
	"errors"
	"fmt"
)

var errSystem = fmt.Errorf("packet rules need Linux: %w", errors.ErrUnsupported)

func (*Plan) Apply(context.Context, string) error { return errSystem }
func Remove(context.Context, string) error        { return errSystem }
func Release(context.Context, string) error       { return errSystem }
func Status(string) (State, error)                { return State{}, errSystem }
