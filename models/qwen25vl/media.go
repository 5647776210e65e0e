package qwen25vl

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"mnnconv/models"
	"mnnconv/models/picture"
)

// medium is a picture or video on its way into a prompt.
type medium struct {
	span
	frames  []*picture.RGB
	content [32]byte  // tells it from any other: a hash of frames, grid and time
	pixels  []float32 // [patches, values]; nil until it is known that its rows are needed
}

// prepare finds out how many rows a medium has, and whether it is one that a state
// holds.
func (m *Model) prepare(x *models.Media) (*medium, error) {
	frames := x.Frames
	if !x.Video {
		frames = frames[:min(1, len(frames))]
	}
	g, err := picture.Grid(m.Pictures, frames)
	if err != nil {
		return nil, err
	}
	p := &medium{span: span{grid: Grid{g[0], g[1], g[2]}}, frames: frames}
	if x.Video {
		p.second = float64(m.Pictures.TemporalPatch) / x.FPS
	}
	p.content = p.hash()
	return p, nil
}

func (p *medium) hash() [32]byte {
	h := sha256.New()
	var buf []byte
	for _, x := range []uint64{uint64(p.grid.T), uint64(p.grid.H), uint64(p.grid.W), math.Float64bits(p.second)} {
		buf = binary.LittleEndian.AppendUint64(buf, x)
	}
	for _, f := range p.frames { // all have the size of the first
		buf = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(buf, uint64(f.Width)), uint64(f.Height))
		h.Write(buf)
		h.Write(f.Pix)
		buf = buf[:0]
	}
	return [32]byte(h.Sum(nil))
}

// process makes the pixel values of the media at token from of a prompt and behind it:
// a state holds the rows of the others.
func (s *Session) process(p *Prompt, from int, t *turn) error {
	defer s.trace.Begin(preprocessLabel).End()
	start := time.Now()
	for _, x := range p.media {
		if x.start < from {
			continue
		}
		var err error
		if x.pixels, _, err = picture.ProcessVideo(s.m.Pictures, x.frames); err != nil {
			return err
		}
	}
	t.stats.Preprocess += time.Since(start)
	return nil
}

// shared is how many tokens of a prompt a state need not take again: those that it
// holds, without a part of a medium, and without the last, whose logits are wanted.
func (m *Model) shared(held []cell, p *Prompt, t *turn) int {
	if !t.set.Reuse {
		return 0
	}
	return m.whole(p, min(common(held, p.cells), len(p.IDs)-1))
}

// prepareAll prepares all media of a conversation, while they fit in capacity tokens.
func (m *Model) prepareAll(q models.Question, capacity int) ([]*medium, error) {
	var all []*medium
	total := int64(0)
	for _, t := range q.Turns {
		for _, part := range t.Parts {
			if part.Media == nil {
				continue
			}
			x, err := m.prepare(part.Media)
			if err != nil {
				return nil, err
			}
			if total += m.rows(x.grid); total >= int64(capacity) {
				return nil, fmt.Errorf("%w: its pictures need %d tokens or more, the context has room for %d: use fewer or smaller pictures (--max-pixels) or a larger -c",
					ErrPrompt, total, capacity)
			}
			all = append(all, x)
		}
	}
	return all, nil
}

// cell is what the state holds of one token: which, and of which medium's content.
type cell struct {
	id      int32
	content [32]byte
}

// common is how many cells two conversations begin with alike.
func common(a, b []cell) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
