package main

import (
	"fmt"
	"strings"

	"mnnconv/models/picture"
)

// side is how many columns a picture may take on a terminal.
const side = 36

// halfBlocks draws pictures beside each other, width columns wide at most: each
// character is two pixels, the upper one its colour, the lower one its
// background.
func halfBlocks(pictures []*picture.RGB, width int) string {
	if len(pictures) == 0 {
		return ""
	}
	most := min(side, (width+1)/len(pictures)-1)
	if most < 4 {
		return "" // no room for anything one could recognise
	}
	type cells struct{ w, h int }
	var sizes []cells
	lines := 0
	for _, p := range pictures {
		scale := min(float64(most)/float64(p.Width), float64(most)/float64(p.Height), 1)
		c := cells{max(1, int(float64(p.Width)*scale)), max(1, int(float64(p.Height)*scale))}
		sizes = append(sizes, c)
		lines = max(lines, (c.h+1)/2)
	}
	var b strings.Builder
	for line := range lines {
		for i, p := range pictures {
			c := sizes[i]
			if i > 0 {
				b.WriteByte(' ')
			}
			pen := ""
			for x := range c.w {
				cell, char := "\x1b[0m", " "
				if top, ok := mean(p, x, 2*line, c.w, c.h); ok {
					cell, char = fmt.Sprintf("\x1b[38;2;%d;%d;%dm", top[0], top[1], top[2]), "▀"
					if low, ok := mean(p, x, 2*line+1, c.w, c.h); ok {
						cell += fmt.Sprintf("\x1b[48;2;%d;%d;%dm", low[0], low[1], low[2])
					} else {
						cell += "\x1b[49m"
					}
				}
				if cell != pen {
					b.WriteString(cell)
					pen = cell
				}
				b.WriteString(char)
			}
			b.WriteString("\x1b[0m")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// mean is the colour of cell (x, y) of a picture drawn in w × h cells; ok is
// false below the picture.
func mean(p *picture.RGB, x, y, w, h int) (colour [3]int, ok bool) {
	if y >= h {
		return colour, false
	}
	x0, x1 := x*p.Width/w, max((x+1)*p.Width/w, x*p.Width/w+1)
	y0, y1 := y*p.Height/h, max((y+1)*p.Height/h, y*p.Height/h+1)
	for yy := y0; yy < y1; yy++ {
		for xx := x0; xx < x1; xx++ {
			for c := range colour {
				colour[c] += int(p.Pix[3*(yy*p.Width+xx)+c])
			}
		}
	}
	for c := range colour {
		colour[c] /= (x1 - x0) * (y1 - y0)
	}
	return colour, true
}
