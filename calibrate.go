package mnnconv

import (
	"context"
	"errors"
	"fmt"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/passes/quantize"
)

// Calibrator runs the model folder path, as its exporter wrote it, over what ask
// asks a session, and hands over what comes to inputs of products. Each run loads
// the model again: that costs its graphs alone.
func Calibrator(path string, o Options, ask func(models.Session) error) quantize.Calibrator {
	return func(inputs []quantize.Input, add func(i int, rows []float32) error) (err error) {
		s, err := Load(path, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		taps := map[string]map[int]int{} // by phase, output to input
		for i, in := range inputs {
			at, err := s.tap(in)
			if err != nil {
				return err
			}
			if taps[in.Phase] == nil {
				taps[in.Phase] = map[int]int{}
			}
			taps[in.Phase][at] = i
		}
		o.Session.Wrap = func(phase string, own models.Runner) models.Runner { return &tapped{own, taps[phase], add} }
		p, err := Open(s, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Close()) }()
		session, err := p.Chat(0)
		if err != nil {
			return err
		}
		return errors.Join(ask(session), session.Close())
	}
}

// tapped hands over some outputs of a runner.
type tapped struct {
	models.Runner
	taps map[int]int // output to input
	add  func(i int, rows []float32) error
}

func (t *tapped) Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	outs, err := t.Runner.Run(ctx, inputs)
	if err != nil {
		return nil, err
	}
	for at, i := range t.taps {
		rows, err := outs[at].Float32s()
		if err == nil {
			err = t.add(i, rows)
		}
		if err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// tap makes a value an output of its graph, and returns which.
func (s *Source) tap(in quantize.Input) (int, error) {
	for _, ph := range s.Phases {
		if ph.Name != in.Phase {
			continue
		}
		for _, n := range ph.Graph.Nodes {
			for _, v := range n.Outputs {
				if v != nil && v.Name == in.Value {
					ph.Graph.Outputs = append(ph.Graph.Outputs, v)
					return len(ph.Graph.Outputs) - 1, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("%s: %w: value %q of phase %s is no more in the graph that calibrates", s.Path, graph.ErrInvalid, in.Value, in.Phase)
}
