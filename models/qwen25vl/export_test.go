package qwen25vl

import (
	"context"

	"mnnconv/graph"
	"mnnconv/models"
)

// EncodeInputs are the inputs of the encode phase, aligned with its graph's.
func (m *Model) EncodeInputs(pixels []float32, grid Grid) ([]*graph.Tensor, error) {
	return m.encode.fill(pixels, grid)
}

// ExtendInputs are the inputs of the extend phase, aligned with its graph's.
func (m *Model) ExtendInputs(p *Prompt, past int) ([]*graph.Tensor, error) {
	return m.extend.fill(p, past)
}

// Decode is one decode step.
func (s *Session) Decode(ctx context.Context, id int32, past int, position int64) ([]float32, error) {
	if err := s.decode(ctx, id, nil, past, position, true); err != nil {
		return nil, err
	}
	return s.scores.row(ctx, 0)
}

// Stepper returns what runs a decode step of the first rows slots of a batch, behind
// past tokens each.
func Stepper(s models.Session, rows, past int) func(context.Context) error {
	b := s.(*slot).b
	st := b.s.m.extend.newSteps(rows)
	for i := range rows {
		st.row(i, int32(i), past, int64(past))
	}
	return func(ctx context.Context) error {
		b.run.Slots(0, rows)
		return b.s.scores.take(ctx, st.ins, false)
	}
}
