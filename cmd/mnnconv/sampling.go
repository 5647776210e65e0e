package main

import (
	"github.com/spf13/pflag"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
)

// samplingFlags say how tokens are chosen, and how many, where that differs from
// what the model folder says.
type samplingFlags struct {
	flags                               *pflag.FlagSet
	temperature, topP, minP, repetition float64
	topK, most                          int
	seed                                uint64
}

func (s *samplingFlags) add(flags *pflag.FlagSet) {
	s.flags = flags
	flags.IntVarP(&s.most, "max-tokens", "n", 0, "end an answer after `N` tokens; 0: as the model says")
	flags.Float64Var(&s.temperature, "temperature", 0, "sample at temperature `T`; 0: always the likeliest token (default: as the model says)")
	flags.IntVar(&s.topK, "top-k", 0, "sample from the `K` likeliest tokens; 0: all (default: as the model says)")
	flags.Float64Var(&s.topP, "top-p", 0, "sample from the likeliest tokens that make up `P`; 1: all (default: as the model says)")
	flags.Float64Var(&s.minP, "min-p", 0, "sample from tokens at least `P` times as likely as the likeliest; 0: all (default: as the model says)")
	flags.Float64Var(&s.repetition, "repetition-penalty", 0, "make tokens that were there less likely by factor `R`; 1: off (default: as the model says)")
	flags.Uint64Var(&s.seed, "seed", 0, "random numbers of sampling: the same `SEED` gives the same answer")
}

// check finds what is out of range.
func (s *samplingFlags) check() error {
	if s.most < 0 {
		return usagef("--max-tokens %d: want 0 or more", s.most)
	}
	return nil
}

// idle refuses flags that say by which chance a token is taken, where none is.
func (s *samplingFlags) idle(source *mnnconv.Source) error {
	greedy := !s.over(source.Info.Generate.Sampling).Sample
	var all []idle
	for _, f := range []string{"top-k", "top-p", "min-p", "seed"} {
		all = append(all, idle{f, greedy, "where always the likeliest token is taken: give a --temperature above 0"})
	}
	return refuseIdle(s.flags, all...)
}

// settings are the model's own, with the flags' in their place.
func (s *samplingFlags) settings(p *mnnconv.Program) models.Settings {
	own := p.Source.Info.Generate
	set := models.Settings{Most: s.most, Sampling: s.over(own.Sampling)}
	if set.Most == 0 {
		set.Most = own.MaxNewTokens
	}
	return set
}

// over returns the model's own options with the flags' in their place. Asking for
// a temperature, top-k, top-p or min-p turns sampling on; temperature 0 turns it
// off.
func (s *samplingFlags) over(model generate.Options) generate.Options {
	o := model
	for _, f := range []struct {
		name string
		set  func()
	}{
		{"top-k", func() { o.TopK, o.Sample = s.topK, true }},
		{"top-p", func() { o.TopP, o.Sample = s.topP, true }},
		{"min-p", func() { o.MinP, o.Sample = s.minP, true }},
		{"temperature", func() { o.Temperature, o.Sample = s.temperature, s.temperature != 0 }},
		{"repetition-penalty", func() { o.RepetitionPenalty = s.repetition }},
		{"seed", func() { o.Seed = s.seed }},
	} {
		if s.flags.Changed(f.name) {
			f.set()
		}
	}
	return o
}
