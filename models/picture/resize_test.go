package picture

import (
	"errors"
	"testing"
)

func TestSmartResize(t *testing.T) {
	q := Qwen()
	for _, c := range []struct{ h, w, min, max, h2, w2 int }{
		{1, 1, q.MinPixels, q.MaxPixels, 56, 56},
		{14, 14, q.MinPixels, q.MaxPixels, 56, 56},
		{28, 28, q.MinPixels, q.MaxPixels, 56, 56},
		{42, 70, q.MinPixels, q.MaxPixels, 56, 56}, // 1.5 and 2.5 both round to 2
		{224, 224, q.MinPixels, q.MaxPixels, 224, 224},
		{480, 640, q.MinPixels, q.MaxPixels, 476, 644},
		{1080, 1920, q.MinPixels, q.MaxPixels, 1092, 1932},
		{2160, 3840, q.MinPixels, q.MaxPixels, 2156, 3836},
		{4000, 6000, q.MinPixels, q.MaxPixels, 2912, 4368},
		{1, 200, q.MinPixels, q.MaxPixels, 28, 812},
		{200, 1, q.MinPixels, q.MaxPixels, 812, 28},
		{900, 700, q.MinPixels, 12544, 112, 84},
		{15, 3000, 1, 2000, 28, 616}, // the short side is kept at one block
		{5, 1000, 1, 2000, 28, 28},   // a side rounded to 0 counts as too few pixels
	} {
		h2, w2, err := SmartResize(c.h, c.w, 28, c.min, c.max)
		if err != nil || h2 != c.h2 || w2 != c.w2 {
			t.Errorf("%d×%d within %d to %d: %d×%d, %v, want %d×%d", c.h, c.w, c.min, c.max, h2, w2, err, c.h2, c.w2)
		}
	}
	for _, c := range []struct {
		h, w, factor, min, max int
		want                   error
	}{
		{1, 201, 28, 1, 1000, ErrLimit},
		{0, 10, 28, 1, 1000, ErrMalformed},
		{10, 10, 0, 1, 1000, ErrMalformed},
		{10, 10, 28, 0, 1000, ErrMalformed},
	} {
		if _, _, err := SmartResize(c.h, c.w, c.factor, c.min, c.max); !errors.Is(err, c.want) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

// TestResize checks shapes and what the reference cases cannot: results next to the edges of the range.
func TestResize(t *testing.T) {
	src := photo(31, 17)
	if Resize(src, 31, 17) != src {
		t.Error("a picture of the right size was copied")
	}
	for _, size := range [][2]int{{1, 1}, {31, 1}, {1, 17}, {200, 3}, {3, 200}, {62, 34}} {
		p := Resize(src, size[0], size[1])
		if p.Width != size[0] || p.Height != size[1] || len(p.Pix) != 3*size[0]*size[1] {
			t.Errorf("%v: %d×%d with %d bytes", size, p.Width, p.Height, len(p.Pix))
		}
	}
	// The cubic overshoots at an edge: it must stop at 0 and 255, not wrap.
	edge := newRGB(8, 1)
	for i := 12; i < 24; i++ {
		edge.Pix[i] = 255
	}
	p := Resize(edge, 40, 1)
	for x := range 40 {
		if v := p.Pix[3*x]; x < 17 && v > 20 || x > 22 && v < 235 {
			t.Errorf("beside the edge, at %d: %d", x, v)
		}
	}
}
