package qwen25vl

import (
	"context"
	"errors"
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

// Steps runs n tokens behind past others; where the device feeds itself, these are what
// it takes for the likeliest.
func (s *Session) Steps(ctx context.Context, past, n int, each func()) (err error) {
	if past < 0 || n < 0 || past+n > s.capacity {
		return fmt.Errorf("%w: token %d, the context has room for %d; use a larger -c", ErrPrompt, past+n, s.capacity)
	}
	s.held = s.held[:min(past, len(s.held))]
	if s.feeder != nil {
		defer func() { err = errors.Join(err, s.feeder.settle()) }()
	}
	id := int32(past % 100)
	for i := range n {
		if s.feeder != nil {
			err = s.decodeAhead(ctx, id, past+i, int64(past+i), i+1 < n)
			id = s.feeder.fed
		} else {
			err = s.decode(ctx, id, nil, past+i, int64(past+i), false)
			id = int32((past + i + 1) % 100)
		}
		if err != nil {
			return err
		}
		if each != nil {
			each()
		}
	}
	return nil
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
