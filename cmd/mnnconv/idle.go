package main

import (
	"errors"
	"slices"

	"github.com/spf13/pflag"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/runtime/host"
)

// fromEnvironment is the annotation of a flag that has the value of its variable.
const fromEnvironment = "mnnconv_environment"

// given reports whether a flag is on the command line itself.
func given(flags *pflag.FlagSet, name string) bool {
	if flags == nil {
		return false
	}
	f := flags.Lookup(name)
	if f == nil || !f.Changed {
		return false
	}
	_, variable := f.Annotations[fromEnvironment]
	return !variable
}

// idle is a flag that changes nothing when something else is so.
type idle struct {
	flag string
	when bool
	why  string // completes "--FLAG does nothing"
}

// refuseIdle refuses flags on the command line that would change nothing: whoever
// wrote one meant it to. Variables of the environment are set for many commands, and
// may say nothing to some.
func refuseIdle(flags *pflag.FlagSet, all ...idle) error {
	var errs []error
	for _, x := range all {
		if x.when && given(flags, x.flag) {
			errs = append(errs, usagef("--%s does nothing %s", x.flag, x.why))
		}
	}
	return errors.Join(errs...)
}

// Flags of every command that say nothing to one graph, or to a model that sees
// nothing.
var (
	modelFlags = []string{"context", "max-images", "max-tokens", "temperature", "top-k", "top-p", "min-p", "repetition-penalty", "seed", "prompt-lookup-num-tokens", "min-pixels", "max-pixels"}
	sightFlags = []string{"max-images", "min-pixels", "max-pixels", "max-image-pixels", "image-size", "fps"}
)

// unheeded refuses flags that say nothing to a source that is planned by o.
func (m *modelOptions) unheeded(s *mnnconv.Source, o mnnconv.Options) error {
	has := func(which func(models.Phase) bool) bool { return slices.ContainsFunc(s.Phases, which) }
	name := printable(s.Path)
	all := []idle{
		{"fallback", o.Place == "" && (s.Package != nil || len(s.Info.Wishes) == 0), "without --place RULES"},
		{"state", !has(func(p models.Phase) bool { return len(p.Graph.States) > 0 }), "with " + name + ", which keeps no keys and values"},
	}
	for _, f := range modelFlags {
		all = append(all, idle{f, s.Model == nil, "with " + name + ", which is one graph"})
	}
	for _, f := range sightFlags {
		blind := s.Model != nil && !has(func(p models.Phase) bool { return p.Name == "encode" })
		all = append(all, idle{f, blind, "with " + name + ", which sees no pictures"})
	}
	return errors.Join(refuseIdle(m.flags, all...), m.checkMath(s))
}

// checkMath refuses rules of --math that fit nothing of a source.
func (m *modelOptions) checkMath(s *mnnconv.Source) error {
	if !given(m.flags, "math") {
		return nil
	}
	math, err := host.ParseMath(m.math)
	if err == nil {
		err = math.Check(func(yield func(*graph.Node) bool) {
			for _, p := range s.Phases {
				for _, n := range p.Graph.Nodes {
					if !yield(n) {
						return
					}
				}
			}
		})
	}
	if err != nil {
		return usagef("--math: %w", err)
	}
	return nil
}
