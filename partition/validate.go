package partition

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
)

// Check checks plans against the contracts derived from them, without a device:
// types on both sides, what the model demands of them, the limits of the devices,
// that every reader's memory is its own, and, for phases whose symbols are bounded,
// the layout of memory and the order of commands. It reports all violations at
// once, joined; each wraps ErrContract, ErrMemory or ErrPlacement, names both sides,
// and is kept in its contract too.
func (set *ContractSet) Check(plans []*Plan, terms Terms) error {
	var errs []error
	for i := range set.Contracts {
		c := &set.Contracts[i]
		for _, err := range set.check(c) {
			c.Violations = append(c.Violations, err.Error())
			errs = append(errs, err)
		}
	}
	for _, p := range plans {
		errs = append(errs, p.checkSpaces()...)
		errs = append(errs, p.checkTargets()...)
		if err := p.Verify(); err != nil {
			errs = append(errs, contractf("%v", err))
		}
		if bounds := terms.Bounds[p.Phase]; bounds != nil && len(errs) == 0 {
			m, err := p.Layout(bounds)
			if err != nil {
				errs = append(errs, contractf("%v", err))
				continue
			}
			errs = append(errs, p.CheckMemory(m, p.Commands(m, nil)))
		}
	}
	return errors.Join(errs...)
}

func contractf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrContract, fmt.Sprintf(format, args...))
}

// check returns the violations of one contract.
func (set *ContractSet) check(c *Contract) []error {
	var errs []error
	fail := func(expected, found any, then string) {
		errs = append(errs, contractf("%s: from %s to %s: expected %v, found %v%s; %s", c.Name(), c.From, c.To, expected, found, set.origins(c), then))
	}
	from, to := c.from.Type, c.to.Type
	if c.Edge != LinkEdge && from.DType != to.DType || c.Edge == LinkEdge && from.DType.IsFloat() != to.DType.IsFloat() {
		fail(to.DType, from.DType, "a copy keeps the dtype: convert the value on one side")
	}
	if len(from.Shape) != len(to.Shape) {
		fail(fmt.Sprintf("rank %d, %s", len(to.Shape), to.Shape), fmt.Sprintf("rank %d, %s", len(from.Shape), from.Shape), "the two sides are of different models, or one was changed")
	} else {
		for i, d := range to.Shape {
			if !from.Shape[i].Equal(d) {
				fail(fmt.Sprintf("extent %s on axis %d", d, i), from.Shape[i], "the two sides are of different models, or one was changed")
			}
		}
	}
	for _, r := range c.Relations {
		for i, t := range []graph.Type{from, to} {
			if err := r.CheckType(t); err != nil {
				errs = append(errs, contractf("%s: from %s to %s: at %s: %v (%s)%s; use files of one model", c.Name(), c.From, c.To, []Side{c.From, c.To}[i], err, r.Source, set.origins(c)))
				break
			}
		}
	}
	switch {
	case c.Edge == CopyEdge && c.From.Space == c.To.Space, c.Edge != CopyEdge && c.From.Space != c.To.Space:
		fail("a copy exactly where the space changes", c.Edge, "plan again")
	case c.Largest > 0 && c.MostBytes > c.Largest:
		errs = append(errs, fmt.Errorf("%w: %s: from %s to %s: %s bytes are %d at the bounds, the largest single allocation there is %d%s",
			ErrMemory, c.Name(), c.From, c.To, c.Bytes, c.MostBytes, c.Largest, set.origins(c)))
	}
	return errs
}

// origins says where the symbols of a boundary got their values.
func (set *ContractSet) origins(c *Contract) string {
	used := map[string]bool{}
	for _, t := range []graph.Type{c.from.Type, c.to.Type} {
		for _, d := range t.Shape {
			d.Symbols(used)
		}
	}
	var out []string
	for _, s := range set.Symbols {
		if !used[s.Name] || s.Phase != c.From.Phase && s.Phase != c.To.Phase {
			continue
		}
		text := fmt.Sprintf("%s from %s of %s", s.Name, s.Origin, s.Phase)
		if s.Most > 0 {
			text += fmt.Sprintf(", at most %d", s.Most)
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, "; ") + ")"
}

// checkSpaces finds values that are read in a space they do not lie in, and copies
// that go elsewhere than they say.
func (p *Plan) checkSpaces() []error {
	var errs []error
	for _, part := range p.Partitions() {
		seen := map[*graph.Value]bool{}
		for _, n := range part.Nodes {
			n.Reads(func(v *graph.Value) {
				if v.Const != nil || v.Type.Space == part.Space || seen[v] {
					return
				}
				seen[v] = true
				errs = append(errs, contractf("%s: %s, %s → %s: partition %d on %s reads it in %s (%s): expected %s, found %s; a copy is missing or goes to the wrong space: plan again",
					p.Phase, Source(v).Name, v.Type.Space, part.Space, part.Index, part.Target, n.ID(), n.Cause, part.Space, v.Type.Space))
			})
		}
	}
	state := p.Graph.StateValues()
	for _, v := range p.Graph.Outputs {
		if !state[v] && v.Const == nil && v.Type.Space != graph.Host {
			errs = append(errs, contractf("%s: %s, %s → %s: the caller reads it in %s, found %s; a copy is missing: plan again", p.Phase, Source(v).Name, v.Type.Space, graph.Host, graph.Host, v.Type.Space))
		}
	}
	for _, n := range p.Copies() {
		v := n.Outputs[0]
		if to := n.Str("to", ""); to != string(v.Type.Space) {
			errs = append(errs, contractf("%s: %s, %s → %s: the copy says that it goes to %s; plan again", p.Phase, Source(v).Name, n.Str("from", ""), v.Type.Space, to))
		}
	}
	return errs
}

// checkTargets checks every node against the profile of its target.
func (p *Plan) checkTargets() []error {
	var errs []error
	known := sizesOf(p.Graph)
	for _, part := range p.Partitions() {
		t, err := find(p.targets, part.Target)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, n := range part.Nodes {
			if err := t.Supports(n, known.sized(n)); err != nil {
				errs = append(errs, fmt.Errorf("%w: phase %s, partition %d: %s (%s): %w", ErrPlacement, p.Phase, part.Index, n.ID(), n.Cause, err))
			}
		}
	}
	return errs
}

// Match compares the contracts of a plan at hand with those that were saved with
// it, or made from the files that it is said to come from, and reports all
// differences: another model's plan, or one that was changed since.
func (set *ContractSet) Match(saved *ContractSet) error {
	var errs []error
	key := func(c *Contract) string { return string(c.Edge) + " " + c.Name() }
	at := map[string]*Contract{}
	for i := range set.Contracts {
		at[key(&set.Contracts[i])] = &set.Contracts[i]
	}
	for i := range saved.Contracts {
		want := &saved.Contracts[i]
		have := at[key(want)]
		if have == nil {
			errs = append(errs, contractf("%s: from %s to %s: the plan has no such boundary any more: it is of another model or placement; convert again", want.Name(), want.From, want.To))
			continue
		}
		delete(at, key(want))
		for _, f := range []struct {
			what            string
			expected, found any
		}{
			{"dtype", want.DType, have.DType}, {"rank", want.Rank, have.Rank}, {"type on the producer's side", want.From.Type, have.From.Type},
			{"type on the reader's side", want.To.Type, have.To.Type}, {"layout", want.Layout, have.Layout}, {"bytes", want.Bytes, have.Bytes},
			{"producer", want.From.String(), have.From.String()}, {"reader", want.To.String(), have.To.String()},
			{"order", orderText(want), orderText(have)}, {"demands", demands(want), demands(have)},
		} {
			if f.expected != f.found {
				errs = append(errs, contractf("%s: from %s to %s: %s: expected %v, found %v%s; convert again", want.Name(), want.From, want.To, f.what, f.expected, f.found, set.origins(have)))
			}
		}
	}
	for i := range set.Contracts { // in order
		if c := &set.Contracts[i]; at[key(c)] != nil {
			errs = append(errs, contractf("%s: from %s to %s: no contract was made for this boundary; convert again", c.Name(), c.From, c.To))
		}
	}
	return errors.Join(errs...)
}

func orderText(c *Contract) string {
	if c.Order == nil {
		return "none"
	}
	return c.Order.Text + " (" + c.Order.Source + ")"
}

func demands(c *Contract) string {
	var out []string
	for _, r := range c.Relations {
		out = append(out, r.Text+" ("+r.Source+")")
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}
