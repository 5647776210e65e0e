package mnnconv

import (
	"context"
	"errors"
	"fmt"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/partition"
	"mnnconv/runtime/compare"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/pack"
)

// EncodeGraph writes a graph as an ONNX model for references that are other runtimes.
func EncodeGraph(g *graph.Graph) ([]byte, error) { return pack.EncodeGraph(g, functions()) }

// Comparison compares a program, partition by partition, with a reference.
type Comparison struct {
	Program  *Program
	comparer *compare.Comparer
}

// CompareOptions say with what, and where the inputs are kept.
type CompareOptions struct {
	Reference compare.Reference // nil: the operators' definitions
	Name      string            // of the reference, for reports
	Record    string            // a folder for the inputs of each call; empty: none
	Disk      *disk.Disk        // that Record is written to; nil: the system's
}

// NewComparison plans a source and opens its devices as [Open] does, and prepares
// the same graphs, not placed, for the reference. Close it before the source.
func NewComparison(s *Source, o Options, co CompareOptions) (*Comparison, error) {
	if co.Reference == nil {
		co.Reference, co.Name = compare.Plain{Table: o.Load.Table}, string(graph.Host)
	}
	graphs := map[string]*graph.Graph{}
	for _, ph := range s.Phases {
		g, _ := ph.Graph.Clone()
		if s.Package != nil {
			partition.Unplace(g)
		}
		graphs[ph.Name] = g
	}
	p, err := Open(s, o)
	if err != nil {
		return nil, err
	}
	set, _ := Contracts(s, p.Plans, p.session.Capacity) // what violates them is compared all the same
	setup := compare.Setup{Checks: p.checks.With(set), Table: o.Load.Table, Plans: p.Plans, Graphs: graphs, Devices: p.devices, Executors: p.executors,
		Reference: co.Reference, Name: co.Name, Bounds: graph.Env{"capacity": int64(p.session.Capacity), "batch": 1}}
	if co.Record != "" {
		setup.Record = (&recorder{disk: co.Disk, dir: co.Record}).add
	}
	c := &Comparison{Program: p}
	if c.comparer, err = compare.New(setup); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return c, nil
}

// Close releases all that the comparison opened.
func (c *Comparison) Close() error { return errors.Join(c.comparer.Close(), c.Program.Close()) }

// Report says what was found so far.
func (c *Comparison) Report() *compare.Report { return c.comparer.Report() }

// Run compares one call of a phase, over inputs by name.
func (c *Comparison) Run(ctx context.Context, call compare.Call) error {
	_, err := c.comparer.Run(ctx, call)
	return err
}

// Ask compares what runs when a question is answered with tokens at most, the
// likeliest ones by the reference.
func (c *Comparison) Ask(ctx context.Context, q models.Question, tokens int) (err error) {
	p := c.Program
	if p.Source.Model == nil {
		return fmt.Errorf("%s: %w: one graph answers no questions", p.Source.Path, ErrSource)
	}
	o := p.session
	o.Runners = map[string]models.Runner{}
	for _, plan := range p.Plans {
		o.Runners[plan.Phase] = c.comparer.Runner(plan.Phase)
	}
	s, err := p.Source.Model.NewSession(nil, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, err = s.Ask(ctx, q, models.Settings{Most: tokens, Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}})
	return err
}
