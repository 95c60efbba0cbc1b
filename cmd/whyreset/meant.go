package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noSuchCommand is for commands that only have others below them: an argument is one that is not there.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usage(cmd, fmt.Errorf("there is no command %q%s", args[0], meant(args[0], names)))
}

// noSuchFlag adds to an error of the flags what was meant.
func noSuchFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return fmt.Errorf("%w%s", err, meant("--"+unknown.GetSpecifiedName(), names))
}

// meant ends a message with the names that look like what was typed: by a slip, by their beginning, or by
// one of their words. The measure of likeness is cobra's, which it has for commands only.
func meant(typed string, names []string) string {
	all := &cobra.Command{SuggestionsMinimumDistance: 2}
	dashes := len(typed) - len(strings.TrimLeft(typed, "-"))
	for _, name := range names {
		words := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' || r == '-' })
		for i := range words {
			words[i] = typed[:dashes] + words[i]
		}
		all.AddCommand(&cobra.Command{Use: name, SuggestFor: words, Run: func(*cobra.Command, []string) {}})
	}
	if near := slices.Compact(all.SuggestionsFor(typed)); len(near) > 0 && len(near) <= 4 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			at, _, _ := cmd.Root().Find(args)
			for _, c := range at.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at, rest, err := cmd.Root().Find(args)
			if err == nil {
				err = noSuchCommand(at, rest)
			}
			if err != nil {
				return err
			}
			at.InitDefaultHelpFlag()
			at.InitDefaultVersionFlag()
			return at.Help()
		},
	}
}
