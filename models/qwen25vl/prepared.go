package qwen25vl

import (
	"context"
	"fmt"
	"time"

	"mnnconv/graph"
	"mnnconv/models"
)

// Prepared is a question whose tokens, positions and pixel values were made
// elsewhere: by a reference, or by a program with a template of its own.
type Prepared struct {
	IDs       []int32    // with one image or video token for each image row
	Positions [3][]int64 // of each token: time, row, column
	Pixels    []float32  // [patches, values]: those of all grids, one after the other
	Grids     []Grid     // in the order of their tokens
	// Rows [rows, width], where given, stand for all pictures.
	Rows *graph.Tensor
	// Embeddings [tokens, width], where given, stand for all tokens and pictures. A
	// decoder without a table of embeddings takes nothing else.
	Embeddings *graph.Tensor
}

// Prepare runs the vision tower over the pixels of a prepared question and
// returns its prompt for [Session.Extend].
func (s *Session) Prepare(ctx context.Context, q Prepared) (*Prompt, error) {
	if s.extend == nil {
		return nil, fmt.Errorf("%s: %w: the folder has a vision tower alone", s.m.Dir, ErrMissing)
	}
	p := &Prompt{IDs: q.IDs, positions: q.Positions}
	for a, axis := range q.Positions {
		if len(axis) != len(q.IDs) {
			return nil, fmt.Errorf("%w: %d positions on axis %d, the prompt has %d tokens", ErrPrompt, len(axis), a, len(q.IDs))
		}
		for _, x := range axis {
			p.next = max(p.next, x+1)
		}
	}
	if e := q.Embeddings; e != nil {
		if len(e.Shape) != 2 || e.Shape[0] != int64(len(q.IDs)) || e.Shape[1] != s.m.extend.width || len(q.Grids) > 0 {
			return nil, fmt.Errorf("%w: embeddings %v and %d pictures, want [%d, %d] alone", ErrPrompt, e.Shape, len(q.Grids), len(q.IDs), s.m.extend.width)
		}
		p.rows = e
		if !s.m.Embeds() {
			return p, nil
		}
		if s.m.encode == nil {
			return nil, fmt.Errorf("%w: %s looks token ids up itself and takes no embeddings", ErrPrompt, s.m.Dir)
		}
		for i := range q.IDs {
			p.rowsAt = append(p.rowsAt, int64(i))
		}
		return p, nil
	}
	if !s.m.Embeds() {
		return nil, fmt.Errorf("%w: the decoder of %s takes embeddings, and nothing there turns token ids into them", ErrPrompt, s.m.Dir)
	}
	for i, id := range q.IDs {
		if id == s.m.Config.ImageToken || id == s.m.Config.VideoToken {
			p.rowsAt = append(p.rowsAt, int64(i))
		}
	}
	if q.Rows != nil {
		if n := len(p.rowsAt); len(q.Rows.Shape) != 2 || q.Rows.Shape[0] != int64(n) || q.Rows.Shape[1] != s.m.extend.width || len(q.Grids) > 0 {
			return nil, fmt.Errorf("%w: image rows %v and %d pictures, want [%d, %d] alone", ErrPrompt, q.Rows.Shape, len(q.Grids), n, s.m.extend.width)
		}
		p.rows = q.Rows
		return p, nil
	}
	rows := int64(0)
	pixels := q.Pixels
	var data []byte
	for i, g := range q.Grids {
		n := len(pixels) // Encode says what is wrong with a grid
		if s.encode != nil && s.m.encode.geometry.check(g) == nil {
			n = int(min(int64(n), g.Patches()*s.m.encode.pixelRow))
		}
		t, err := s.Encode(ctx, pixels[:n], g)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
		pixels = pixels[n:]
		rows += t.Shape[0]
		data = append(data, t.Data...)
		p.rows = &graph.Tensor{DType: t.DType, Shape: []int64{rows, t.Shape[1]}, Data: data}
	}
	if rows != int64(len(p.rowsAt)) || len(pixels) > 0 {
		return nil, fmt.Errorf("%w: %d image and video tokens for %d image rows, and %d pixel values more than the grids need", ErrPrompt, len(p.rowsAt), rows, len(pixels))
	}
	return p, nil
}

// AskPrepared answers a prepared question, from an empty state.
func (s *Session) AskPrepared(ctx context.Context, q Prepared, set models.Settings) (*models.Answer, error) {
	t, err := s.newTurn(set)
	if err != nil {
		return nil, err
	}
	p, err := s.Prepare(ctx, q)
	if err != nil {
		return nil, err
	}
	t.stats.ImageTokens, t.stats.Encode = len(p.rowsAt), time.Since(t.begin)
	return s.answer(ctx, p, t)
}

// Rows returns the image rows [rows, width] of the prompt; nil: it has none.
func (p *Prompt) Rows() *graph.Tensor { return p.rows }
