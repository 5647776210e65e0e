package qwen25vl

import (
	"testing"

	"mnnconv/models"
	"mnnconv/models/picture"
)

// TestProcess prepares two turns of a conversation: pixel values are made of the
// pictures alone that the state does not hold.
func TestProcess(t *testing.T) {
	config := picture.Qwen()
	s := &Session{m: &Model{Pictures: config, Config: &Config{Merge: 2, ImageToken: 1, VideoToken: 2}}}
	shade := func(level uint8) *picture.RGB {
		p := &picture.RGB{Width: 56, Height: 56, Pix: make([]uint8, 3*56*56)}
		p.Pix[100] = level
		return p
	}
	prompt := func(media ...models.Media) *Prompt {
		var all []*medium
		ids := []int32{7}
		for i := range media {
			x, err := s.m.prepare(&media[i])
			if err != nil {
				t.Fatal(err)
			}
			all, ids = append(all, x), append(ids, 1, 7)
		}
		p, err := s.m.place(ids, all)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, again, other := models.Media{Frames: []*picture.RGB{shade(1)}}, models.Media{Frames: []*picture.RGB{shade(1)}}, models.Media{Frames: []*picture.RGB{shade(2)}}
	video := models.Media{Frames: one.Frames, Video: true, FPS: 2}
	held := prompt(one).cells
	for _, c := range []struct {
		name   string
		reuse  bool
		media  []models.Media
		shared int
		made   []bool
	}{
		{"the same picture and a new one", true, []models.Media{again, other}, 6, []bool{false, true}},
		{"another picture", true, []models.Media{other, one}, 1, []bool{true, true}},
		{"the same picture as a video", true, []models.Media{video}, 1, []bool{true}},
		{"from the start", false, []models.Media{one}, 0, []bool{true}},
	} {
		p, turn := prompt(c.media...), &turn{set: models.Settings{Reuse: c.reuse}}
		from := s.m.shared(held, p, turn)
		if from != c.shared {
			t.Errorf("%s: %d tokens are shared, want %d", c.name, from, c.shared)
		}
		if err := s.process(p, from, turn); err != nil {
			t.Fatal(err)
		}
		for i, x := range p.media {
			if made := len(x.pixels) == int(x.grid.Patches())*1176; made != c.made[i] {
				t.Errorf("%s: of picture %d there are %d values, wanted any: %t", c.name, i, len(x.pixels), c.made[i])
			}
		}
	}
}
