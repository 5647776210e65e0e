package qwen25vl

import (
	"context"
	"fmt"
	"math/rand/v2"

	"mnnconv/models/picture"
)

// Prefill runs a prompt of n tokens that were drawn by chance, the same ones each
// time, from an empty state.
func (s *Session) Prefill(ctx context.Context, n int) error {
	if n < 1 || n > s.capacity {
		return fmt.Errorf("%w: %d tokens, the context has room for %d; use a larger -c", ErrPrompt, n, s.capacity)
	}
	p := &Prompt{}
	random := rand.New(rand.NewPCG(1, 2))
	for len(p.IDs) < n {
		if id := random.Int32N(int32(s.m.extend.vocabulary)); id != s.m.Config.ImageToken && id != s.m.Config.VideoToken {
			p.IDs = append(p.IDs, id)
		}
	}
	var err error
	if p.positions, p.next, err = positions3(n, nil, s.m.Config.Merge, s.m.Config.TokensPerSecond); err != nil {
		return err
	}
	return s.prefill(ctx, p, 0, false)
}

// Step runs one token behind past others.
func (s *Session) Step(ctx context.Context, past int) error {
	if past < 0 || past >= s.capacity {
		return fmt.Errorf("%w: token %d, the context has room for %d; use a larger -c", ErrPrompt, past+1, s.capacity)
	}
	s.held = s.held[:min(past, len(s.held))]
	return s.decode(ctx, int32(past%100), nil, past, int64(past), false)
}

// Look prepares a picture of coloured noise.
func (s *Session) Look(width, height int) (encode func(context.Context) error, tokens int, err error) {
	if s.encode == nil {
		return nil, 0, s.blind()
	}
	img := &picture.RGB{Name: fmt.Sprintf("%d×%d pixels of noise", width, height), Width: width, Height: height, Pix: make([]uint8, 3*width*height)}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = uint8(random.Uint32())
	}
	pixels, g, err := picture.Process(s.m.Pictures, img)
	if err != nil {
		return nil, 0, err
	}
	grid := Grid{g[0], g[1], g[2]}
	return func(ctx context.Context) error {
		_, err := s.Encode(ctx, pixels, grid)
		return err
	}, int(grid.Patches() / (s.m.Config.Merge * s.m.Config.Merge)), nil
}
