package mnnconv

import (
	"errors"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
)

// auto chooses one device for a whole source: the first with measured speeds whose
// memory holds everything at the bounds of a session, or else the cpu. The answer,
// and why, is kept with the source, whose graphs must not be placed yet. Nothing is
// opened.
func (s *Source) auto(o Options) (device, why string, err error) {
	if s.chosen != "" {
		return s.chosen, s.why, nil
	}
	s.chosen = string(graph.Host)
	found, over := o.candidates()
	for _, p := range found {
		err := s.tryOn(p, o)
		if err == nil {
			s.chosen, s.why = p.Name, "the first device with measured speeds that holds everything"
			return s.chosen, s.why, nil
		}
		if !errors.Is(err, partition.ErrMemory) && !errors.Is(err, partition.ErrPlacement) {
			return "", "", err
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		over = append(over, p.Name+" was left: "+first)
	}
	s.why = strings.Join(append([]string{"no other device with measured speeds is known here"}, over...), "; ")
	if len(found) > 0 {
		s.why = strings.Join(over, "; ")
	}
	return s.chosen, s.why, nil
}

// candidates are the devices that auto may choose, in order, and why others are not
// among them.
func (o Options) candidates() (out []partition.Profile, left []string) {
	var all []partition.Profile
	if all = o.Devices; len(all) == 0 {
		for _, b := range o.Backends {
			for i := range maxDevices {
				p, err := b.Profile(i)
				if err != nil { // not there, or nothing to plan with
					if i == 0 {
						left = append(left, b.Name()+" was left: "+err.Error())
					}
					break
				}
				all = append(all, p)
			}
		}
	}
	for _, p := range all {
		switch {
		case p.Space() == graph.Host:
		case p.Measured == nil || p.Measured.Memory <= 0:
			left = append(left, p.Name+" was left: its speeds are not measured")
		default:
			out = append(out, p)
		}
	}
	return out, left
}

// maxDevices bounds the devices asked for of one backend.
const maxDevices = 64

// tryOn plans copies of the source's graphs for one device and weighs the plans.
func (s *Source) tryOn(p partition.Profile, o Options) error {
	rules, err := partition.ParseRules(p.Name)
	if err != nil {
		return err
	}
	plans, err := s.try(rules, o)
	if err != nil {
		return err
	}
	return s.weigh(plans, o.Memory, o)
}

// try plans copies of the source's graphs, which may be placed already.
func (s *Source) try(rules []partition.Rule, o Options) ([]*partition.Plan, error) {
	if o.Fallback != "" {
		rules = append(slices.Clip(rules), partition.FallbackTo(o.Fallback))
	}
	targets, err := o.targetsOf(rules)
	if err != nil {
		return nil, err
	}
	widened, err := s.widenedOn(func(n *graph.Node) string { return partition.TargetOf(n, rules) }, o)
	if err != nil {
		return nil, err
	}
	var plans []*partition.Plan
	for _, ph := range s.Phases {
		g, _ := ph.Graph.Clone()
		partition.Unplace(g)
		for _, w := range widened {
			if err := w.apply(g, o); err != nil {
				return nil, err
			}
		}
		plan, err := build(ph.Name, g, rules, targets)
		if err != nil {
			return nil, err
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// weigh returns an error if a session needs more memory than there is.
func (s *Source) weigh(plans []*partition.Plan, memory partition.Policy, o Options) (err error) {
	var bounds map[string]graph.Env
	if s.Model != nil {
		session := o.Session
		session.Lanes = 1 // it is for devices that this is weighed
		if bounds, _, err = s.Model.Bounds(session); err != nil {
			return err
		}
	}
	b, err := partition.NewBudget(plans, bounds, memory)
	if err != nil {
		return err
	}
	return b.Check()
}
