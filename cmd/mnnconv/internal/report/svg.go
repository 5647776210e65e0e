package report

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
)

// drawingStyle colours drawings and charts, light and dark.
//
//go:embed drawing.css
var drawingStyle string

// colours is how many the style has, for stages and series.
const colours = 6

// mostValues is how many values the tooltip of an edge or box lists.
const mostValues = 24

// WriteSVG writes the drawing as a file of its own.
func (d *Drawing) WriteSVG(w io.Writer) error {
	_, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+d.svg("<style>"+drawingStyle+"</style>")+"\n")
	return err
}

// svg draws. head stands at the beginning of the element.
func (d *Drawing) svg(head string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	w, h := d.size()
	p(`<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="group" aria-label="partitions, copies and what flows between them" viewBox="0 0 %d %d" width="%d" height="%d">%s`, w, h, w, h, head)
	p(`<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>`)
	for i, device := range d.lanes {
		x := margin + gutter + i*(boxWidth+gutter)
		p(`<rect class="lane" x="%d" y="%d" width="%d" height="%d" rx="8"/>`, x-12, margin, boxWidth+24, h-2*margin)
		p(`<text class="device" x="%d" y="%d">%s</text>`, x, margin+20, escape(clip(device, 40)))
	}
	for _, r := range d.routes() {
		class := "edge"
		if r.edge.link {
			class += " link"
		}
		p(`<path class="%s" data-from="%d" data-to="%d" marker-end="url(#arrow)" d="M`, class, r.edge.from, r.edge.to)
		for i, n := range r.bends() {
			if i > 0 {
				b.WriteByte(' ')
			}
			p("%d", n)
		}
		p(`"><title>%s → %s`, escape(d.boxes[r.edge.from].title), escape(d.boxes[r.edge.to].title))
		tooltip(&b, r.edge.values)
		p(`</title></path>`)
	}
	stages := d.stages()
	for i := range d.boxes {
		d.boxes[i].svg(&b, i, stages)
	}
	p(`</svg>`)
	return b.String()
}

// svg draws one box. It can have the focus, so that its edges can be shown.
func (x *box) svg(b *strings.Builder, id int, stages []string) {
	p := func(format string, args ...any) { fmt.Fprintf(b, format, args...) }
	p(`<g class="box %s" data-box="%d" tabindex="0" role="group"><title>%s`, x.kind, id, escape(x.title))
	lines := x.values
	for _, c := range x.chips {
		lines = append(lines, c.text)
	}
	tooltip(b, lines)
	p(`</title><rect class="frame" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, x.x, x.y, x.w, x.h)
	p(`<text class="name" x="%d" y="%d">%s</text>`, x.x+10, x.y+18, escape(clip(x.title, 40)))
	y := x.y + titleRow
	for i, line := range lines[:x.rows()] {
		if i+1 == mostRows && len(lines) > mostRows {
			line = fmt.Sprintf("and %d more", len(lines)-i)
		} else if len(x.chips) > 0 && x.chips[i].stage != "" {
			p(`<rect class="chip c%d" x="%d" y="%d" width="%d" height="%d" rx="4"/>`, slices.Index(stages, x.chips[i].stage)%colours, x.x+6, y, x.w-12, lineRow-3)
		}
		p(`<text x="%d" y="%d">%s</text>`, x.x+12, y+13, escape(clip(line, 44)))
		y += lineRow
	}
	p(`</g>`)
}

// tooltip lists values, each on a line of its own.
func tooltip(b *strings.Builder, values []string) {
	for i, v := range values {
		if i == mostValues {
			fmt.Fprintf(b, "\nand %d more", len(values)-i)
			return
		}
		b.WriteString("\n" + escape(v))
	}
}
