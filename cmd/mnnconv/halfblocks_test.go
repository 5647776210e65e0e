package main

import (
	"strings"
	"testing"

	"mnnconv/models/picture"
)

func TestHalfBlocks(t *testing.T) {
	red, blue := []uint8{255, 0, 0}, []uint8{0, 0, 255}
	flat := func(w, h int, top, low []uint8) *picture.RGB {
		p := &picture.RGB{Width: w, Height: h}
		for y := range h {
			colour := top
			if y >= h/2 {
				colour = low
			}
			for range w {
				p.Pix = append(p.Pix, colour...)
			}
		}
		return p
	}
	// Two pixels, one above the other, are one character.
	want := "\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀\x1b[0m\n"
	if got := halfBlocks([]*picture.RGB{flat(1, 2, red, blue)}, 80); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// A picture of an odd height has nothing under its last line.
	if got := halfBlocks([]*picture.RGB{flat(1, 1, red, red)}, 80); !strings.Contains(got, "\x1b[49m▀") {
		t.Errorf("%q", got)
	}
	// Large ones shrink, and several share the width.
	large := flat(720, 720, red, blue)
	for _, c := range []struct{ pictures, width, cells, lines int }{{1, 80, 36, 18}, {2, 40, 2 * 19, 10}, {1, 3, 0, 0}} {
		var all []*picture.RGB
		for range c.pictures {
			all = append(all, large)
		}
		drawn := halfBlocks(all, c.width)
		first, _, _ := strings.Cut(drawn, "\n")
		if got := strings.Count(first, "▀"); got != c.cells || strings.Count(drawn, "\n") != c.lines {
			t.Errorf("%d pictures in %d columns: %d cells and %d lines, want %d and %d", c.pictures, c.width, got, strings.Count(drawn, "\n"), c.cells, c.lines)
		}
	}
}
