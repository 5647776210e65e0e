package qwen25vl

import (
	"fmt"
	"math"
)

// span is one picture or video in a prompt: where its tokens are, and its grid.
type span struct {
	start  int // index of the first image or video token
	grid   Grid
	second float64 // seconds between temporal steps; 0 for pictures
}

// positions3 returns the M-RoPE positions [3][tokens] of a prompt (Wang et al.
// 2024; get_rope_index of Hugging Face's Qwen2_5_VLModel): text counts up on all
// three axes; a picture's tokens take their frame, row and column, offset by the
// text before; the text after starts at the largest position + 1. A video's frame
// steps by second·tokensPerSecond. next is the position of the token after.
func positions3(tokens int, spans []span, merge int64, tokensPerSecond float64) (pos [3][]int64, next int64, err error) {
	for a := range pos {
		pos[a] = make([]int64, 0, tokens)
	}
	current := int64(0)
	text := func(to int) {
		for len(pos[0]) < to {
			for a := range pos {
				pos[a] = append(pos[a], current)
			}
			current++
		}
		next = max(next, current)
	}
	for _, s := range spans {
		if s.start < len(pos[0]) || s.start > tokens {
			return pos, 0, fmt.Errorf("pictures overlap at token %d", s.start)
		}
		text(s.start)
		h, w := s.grid.H/merge, s.grid.W/merge
		base := current
		for t := range s.grid.T {
			step := t
			if s.second > 0 {
				step = int64(math.Floor(float64(t) * s.second * tokensPerSecond))
			}
			next = max(next, base+step+1)
			for i := range h {
				for j := range w {
					pos[0] = append(pos[0], base+step)
					pos[1] = append(pos[1], base+i)
					pos[2] = append(pos[2], base+j)
				}
			}
		}
		current = base + max(h, w)
		next = max(next, current)
	}
	if len(pos[0]) > tokens {
		return pos, 0, fmt.Errorf("pictures need %d tokens, the prompt has %d", len(pos[0]), tokens)
	}
	text(tokens)
	return pos, next, nil
}
