package mnnconv

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/schemas/pack"
)

// bareGraph is the architecture of a source that is one graph.
const bareGraph = "ONNX graph"

// loadPackage opens a package. Its graphs are raised, placed and cut already. One that
// is replaced meanwhile is read again, so that all of it is of one version.
func loadPackage(dir string, o Options) (*Source, error) {
	var replaced error
	for range 10 {
		v, err := pack.Look(dir)
		if err != nil {
			return nil, err
		}
		s, err := loadVersion(dir, o)
		replaced = v.Check()
		if err := v.Close(); err != nil {
			return nil, err
		}
		if replaced == nil {
			return s, err
		}
		if s != nil {
			if err := s.Close(); err != nil {
				return nil, err
			}
		}
	}
	return nil, replaced
}

func loadVersion(dir string, o Options) (*Source, error) {
	p, err := pack.Open(dir, o.Load.ONNX)
	if err != nil {
		return nil, err
	}
	s := &Source{Path: dir, Package: p, types: joined(o.Load.Types.String(), p.Types), retyped: o.Load.Types != nil}
	if s.retyped && !s.Recut(o) {
		err = s.checkCut(o)
	}
	if err == nil {
		err = s.open(o)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return s, nil
}

// joined are rules of types, the first first.
func joined(rules ...string) string {
	return strings.Join(slices.DeleteFunc(rules, func(r string) bool { return r == "" }), ",")
}

// checkCut compares a package's plan with its graphs before their types are changed.
func (s *Source) checkCut(o Options) error {
	uncut := &Source{Path: s.Path, Package: s.Package}
	for _, ph := range s.Package.Phases {
		g, _ := ph.Graph.Clone()
		uncut.Phases = append(uncut.Phases, models.Phase{Name: ph.Name, Graph: g})
	}
	_, err := planPackage(uncut, o)
	return err
}

func (s *Source) open(o Options) error {
	p := s.Package
	if p.Source.Architecture == bareGraph {
		for _, ph := range p.Phases {
			s.Phases = append(s.Phases, models.Phase{Name: ph.Name, Graph: ph.Graph})
		}
		s.Info = models.Info{Architecture: bareGraph, Family: p.Source.Family}
		for _, st := range p.Source.Stages {
			s.Info.Stages = append(s.Info.Stages, models.Stage(st))
		}
		return s.retype(o)
	}
	for _, k := range o.Models {
		if k.Name != p.Source.Architecture {
			continue
		}
		m, err := k.Open(p, o.Load)
		if err != nil {
			return err
		}
		s.Model, s.Phases, s.Info = m, m.Phases(), m.Info()
		if err := s.widen(o); err != nil {
			return fmt.Errorf("%s: %w", s.Path, err)
		}
		return nil
	}
	return fmt.Errorf("%s: %w: a package of the architecture %q, which this program does not know", s.Path, ErrSource, p.Source.Architecture)
}

// Recut reports whether planning by these options sets a package's own placement
// aside.
func (s *Source) Recut(o Options) bool { return s.Package != nil && o.Place != "" }

// planPackage makes the plans that a package holds.
func planPackage(s *Source, o Options) ([]*partition.Plan, error) {
	targets, err := s.targets(o)
	if err != nil {
		return nil, err
	}
	var plans []*partition.Plan
	for _, ph := range s.Phases {
		if s.retyped {
			if err := storeScales(ph.Graph, func(n *graph.Node) string { return n.Target }); err != nil {
				return nil, fmt.Errorf("%s: phase %s: %w", s.Path, ph.Name, err)
			}
		}
		p, err := partition.Placed(ph.Name, ph.Graph, targets)
		if err != nil {
			return nil, fmt.Errorf("%s: phase %s: %w", s.Path, ph.Name, err)
		}
		plans = append(plans, p)
	}
	if s.retyped { // compared when the package was opened
		return plans, nil
	}
	return plans, s.Package.CheckPlans(plans)
}

// targets describes the devices that the source is planned for: those that the
// rules name, or those of a package.
func (s *Source) targets(o Options) ([]partition.Target, error) {
	if s.Package == nil || s.Recut(o) {
		d, err := o.directions(s)
		if err != nil {
			return nil, err
		}
		return o.targetsOf(d.rules)
	}
	devices := []string{string(graph.Host)}
	for _, ph := range s.Phases {
		devices = append(devices, partition.Devices(ph.Graph)...)
	}
	return o.targets(devices)
}
