package qwen25vl

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"mnnconv/models"
	"mnnconv/models/picture"
)

// medium is a picture or video on its way into a prompt.
type medium struct {
	span
	pixels  []float32 // [patches, values]
	content [32]byte  // tells it from any other: a hash of pixels, grid and time
}

// prepare makes the pixel values of a medium.
func (m *Model) prepare(x *models.Media) (*medium, error) {
	process := func() ([]float32, [3]int64, error) { return picture.Process(m.Pictures, x.Frames[0]) }
	if x.Video {
		process = func() ([]float32, [3]int64, error) { return picture.ProcessVideo(m.Pictures, x.Frames) }
	}
	pixels, g, err := process()
	if err != nil {
		return nil, err
	}
	p := &medium{span: span{grid: Grid{g[0], g[1], g[2]}}, pixels: pixels}
	if x.Video {
		p.second = float64(m.Pictures.TemporalPatch) / x.FPS
	}
	p.content = p.hash()
	return p, nil
}

func (p *medium) hash() [32]byte {
	h := sha256.New()
	buf := make([]byte, 0, 4096)
	for _, x := range []uint64{uint64(p.grid.T), uint64(p.grid.H), uint64(p.grid.W), math.Float64bits(p.second)} {
		buf = binary.LittleEndian.AppendUint64(buf, x)
	}
	for _, x := range p.pixels {
		if len(buf) == cap(buf) {
			h.Write(buf)
			buf = buf[:0]
		}
		buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
	}
	h.Write(buf)
	return [32]byte(h.Sum(nil))
}

// prepareAll makes the pixel values of all media of a conversation, while they fit
// in capacity tokens.
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
