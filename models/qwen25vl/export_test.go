package qwen25vl

import (
	"context"

	"mnnconv/graph"
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
