package runtime

import (
	"context"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/runtime/trace"
)

// Want says which outputs the runs that follow bring to the host, by their place
// among the graph's; those behind the end of the list are wanted. What is not wanted
// stays where it was made, and [Session.Fetch] brings it until the next run. Where
// values are checked or looked at, all are brought.
func (s *Session) Want(outputs []bool) { s.want = outputs }

func (s *Session) wants(output int) bool {
	return output >= len(s.want) || s.want[output] || s.checks == checkValues || s.observer != nil
}

// leaves reports whether the runs of a session leave command i out.
func (f *frame) leaves(i int) bool {
	output := f.l.fetches[i]
	return output >= 0 && !f.s.wants(output)
}

// Fetch returns an output of the last run, which need not have wanted it. It is valid
// as long as those that Run returned.
func (s *Session) Fetch(ctx context.Context, output int) (*graph.Tensor, error) {
	g := s.e.plan.Graph
	if s.last == nil || output < 0 || output >= len(g.Outputs) {
		return nil, fmt.Errorf("%w: output %d of %d of phase %s cannot be fetched: nothing has run", graph.ErrInvalid, output, len(g.Outputs), s.e.plan.Phase)
	}
	if len(s.ahead.under) > 0 {
		return nil, fmt.Errorf("%w: output %d of phase %s cannot be fetched: another run is under way", graph.ErrInvalid, output, s.e.plan.Phase)
	}
	f := s.last
	if i := slices.Index(f.l.fetches, output); i >= 0 && f.leaves(i) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.fetch(i); err != nil {
			return nil, err
		}
	}
	if err := f.output(output, g.Outputs[output]); err != nil {
		return nil, err
	}
	return f.outs[output], nil
}

// fetch runs command i, which the run left out: all others have ended.
func (f *frame) fetch(i int) error {
	defer f.span(func(t *tracing) *trace.Label { return t.start[i] }).End()
	e, err := f.copy(i, nil)
	if err != nil || e == nil {
		return f.where(i, err)
	}
	return f.await(i, e)
}
