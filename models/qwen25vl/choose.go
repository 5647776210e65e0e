package qwen25vl

import (
	"context"
	"fmt"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/runtime/trace"
)

// The graph puts out, beside the logits, the highest of each row: most settings choose
// a token from these alone, and then nothing else leaves the device that the head runs
// on.
const (
	outBest   = "best_logits" // float [batch, rows, best]: the highest first
	outBestAt = "best_tokens" // int64 [batch, rows, best]: their tokens
	mostBest  = 64            // more than top-k is commonly
)

// rank ends a graph whose first output is logits in the highest of them too.
func (x *extend) rank() {
	g := x.graph
	k := g.NewConst(outBest+".k", graph.Ints([]int64{min(mostBest, x.vocabulary)}))
	n := g.NewNode("", "TopK", passes.Opset, []*graph.Value{g.Outputs[0], k}, outBest, outBestAt)
	g.Append(n)
	g.Outputs = append(g.Outputs, n.Outputs...)
}

// ranked finds the outputs that rank left; packages of older versions have none.
func (x *extend) ranked() error {
	at := map[string]int{}
	for i, v := range x.graph.Outputs {
		at[partition.Source(v).Name] = i
	}
	best, ok := at[outBest]
	tokens, both := at[outBestAt]
	if !ok && !both {
		return nil
	}
	values, ids := x.graph.Outputs[best].Type, x.graph.Outputs[tokens].Type
	n, known := int64(0), false
	if len(values.Shape) == 3 {
		n, known = values.Shape[2].Int()
	}
	if !ok || !both || !known || n < 1 || ids.DType != graph.Int64 || !values.DType.IsFloat() || !values.Shape.Equal(ids.Shape) {
		return fmt.Errorf("%w: want outputs %q [batch, rows, best] and %q, of as many int64", ErrPackage, outBest, outBestAt)
	}
	x.best, x.bestAt, x.ranks = best, tokens, int(n)
	x.without = make([]bool, len(x.graph.Outputs))
	for i := range x.without {
		x.without[i] = i > 0
	}
	return nil
}

// scores are what one run of the decoder says of the tokens that may follow, a row for
// each token that it was asked about. They are valid until the next run.
type scores struct {
	x      *extend
	run    models.Runner
	trace  *trace.Recorder
	count  int  // rows
	gone   bool // the run behind overwrites all logits: again runs the decoder once more for them
	again  func(context.Context) error
	best   []float32 // the highest logits of all rows; nil: all are there
	at     []int64   // their tokens
	logits []float32 // of all rows; nil: nobody asked yet
}

// take runs the decoder. whole says that all logits will be asked for.
func (s *scores) take(ctx context.Context, ins []*graph.Tensor, whole bool) error {
	s.gone, s.best, s.at, s.logits = false, nil, nil, nil
	ranked := s.x.ranks > 0 && !whole
	s.run.Want(nil)
	if ranked {
		s.run.Want(s.x.without)
	}
	outs, err := s.run.Run(ctx, ins)
	if err != nil {
		return err
	}
	if !ranked {
		return s.widen(outs[0])
	}
	return s.rank(outs)
}

// rank takes the highest logits.
func (s *scores) rank(outs []*graph.Tensor) (err error) {
	s.at = graph.View[int64](outs[s.x.bestAt])
	s.count = outs[s.x.best].Len() / s.x.ranks
	s.best, err = outs[s.x.best].Float32s()
	return err
}

// widen takes all logits.
func (s *scores) widen(t *graph.Tensor) (err error) {
	defer s.trace.Begin(logitsLabel).End()
	s.logits, err = t.Float32s()
	s.count = len(s.logits) / int(s.x.vocabulary)
	return err
}

// row returns all logits of a row.
func (s *scores) row(ctx context.Context, i int) ([]float32, error) {
	if s.logits == nil && s.gone {
		if err := s.again(ctx); err != nil {
			return nil, err
		}
	}
	if s.logits == nil {
		t, err := s.run.Fetch(ctx, 0)
		if err == nil {
			err = s.widen(t)
		}
		if err != nil {
			return nil, err
		}
	}
	n := int(s.x.vocabulary)
	return s.logits[i*n:][:n], nil
}

// next chooses the token that follows in a row: from the highest logits, or, where
// they do not decide it, from all.
func (s *scores) next(ctx context.Context, by *generate.Sampler, row int, history []int32) (int32, error) {
	defer s.trace.Begin(sampleLabel).End()
	if s.best != nil {
		from, to := row*s.x.ranks, (row+1)*s.x.ranks
		if id, ok := by.NextOf(s.best[from:to], s.at[from:to], history); ok {
			return id, nil
		}
	}
	logits, err := s.row(ctx, row)
	if err != nil {
		return 0, err
	}
	return by.Next(logits, history)
}
