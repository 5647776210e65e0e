package report

import (
	"fmt"
	"math"
	"strings"

	"mnnconv/runtime/compare"
)

// The measures of a chart, in pixels.
const (
	chartWidth = 900
	labelWidth = 330 // of charts with a line for each of their subjects
	chartRow   = 22
	mostMarks  = 200 // subjects that a chart shows
)

// canvas is a chart while it is drawn.
type canvas struct{ strings.Builder }

func (c *canvas) p(format string, args ...any) { fmt.Fprintf(c, format, args...) }

func (c *canvas) begin(what string, height int) {
	c.p(`<svg class="chart" role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d">`, escape(what), chartWidth, height, chartWidth, height)
}

func (c *canvas) end() Markup {
	c.p(`</svg>`)
	return Markup(c.String())
}

func (c *canvas) text(x, y float64, class, anchor, s string) {
	c.p(`<text class="%s" x="%.0f" y="%.0f" text-anchor="%s">%s</text>`, class, x, y, anchor, escape(s))
}

// legend names the colours of series from the left.
func (c *canvas) legend(x, y float64, names []string) {
	for i, name := range names {
		c.p(`<rect class="s%d" x="%.0f" y="%.0f" width="11" height="11" rx="2"/>`, i%colours, x, y-10)
		c.text(x+16, y, "dim", "start", name)
		x += 28 + 7.2*float64(len(name))
	}
}

// marks says that a chart shows the first of its subjects alone.
func (c *canvas) marks(of int) {
	if of > mostMarks {
		c.text(chartWidth-8, 14, "dim", "end", fmt.Sprintf("the first %d of %d", mostMarks, of))
	}
}

// Errors draws how far each boundary tensor lies from the reference, in its
// tolerance: what its partition alone makes of the reference's inputs, and what the
// whole cut model does. The scale is logarithmic; the line is the tolerance.
func Errors(tensors []*compare.TensorReport) Markup {
	const low, high = -6, 3 // powers of ten
	var c canvas
	shown := tensors[:min(len(tensors), mostMarks)]
	height := len(shown)*chartRow + 66
	c.begin("largest differences from the reference, in tolerances", height)
	at := func(power float64) float64 {
		return labelWidth + 30 + (power-low)/(high-low)*(chartWidth-labelWidth-70)
	}
	c.legend(labelWidth+30, 14, []string{"alone", "cascade"})
	c.marks(len(tensors))
	bottom := float64(height - 26)
	for k := low; k <= high; k++ {
		class := "grid"
		if k == 0 {
			class = "limit"
		}
		c.p(`<line class="%s" x1="%.0f" y1="24" x2="%.0f" y2="%.0f"/>`, class, at(float64(k)), at(float64(k)), bottom)
		name := fmt.Sprintf("1e%d", k)
		switch k {
		case 0:
			name = "tolerance"
		case low:
			name = "0"
		}
		c.text(at(float64(k)), bottom+16, "dim", "middle", name)
	}
	for i, t := range shown {
		y := 30 + float64(i*chartRow) + 11
		c.text(8, y+4, "", "start", clip(t.Phase+" "+t.Name, 46))
		mark := func(series int, f compare.Figures, tolerance float64) {
			x := at(math.Min(high, math.Max(low, power(f, tolerance))))
			c.p(`<circle class="s%d" cx="%.1f" cy="%.1f" r="%d"><title>%s: max %.3g, tolerance %.3g, cosine %.6f, ULP %.3g, NaN %d, Inf %d</title></circle>`,
				series, x, y, 6-2*series, escape(t.Name), f.Max, tolerance, f.Cosine, f.ULP, f.NaN, f.Inf)
		}
		mark(0, t.Figures, t.Tolerance)
		mark(1, t.Cascade.Figures, t.Cascade.Tolerance)
	}
	return c.end()
}

// power is the logarithm of the largest difference in tolerances. What is no finite
// number, or differs where nothing may, is beyond all.
func power(f compare.Figures, tolerance float64) float64 {
	switch {
	case f.NaN+f.Inf > 0 || math.IsNaN(f.Max) || tolerance == 0 && f.Max > 0:
		return math.Inf(1)
	case f.Max == 0:
		return math.Inf(-1)
	}
	return math.Log10(f.Max / tolerance)
}

// Bar is a length of time.
type Bar struct {
	Name    string
	Series  string // its colour
	Seconds float64
}

// Times draws bars of time from the top, as long as they took.
func Times(bars []Bar) Markup {
	var c canvas
	most := 0.0
	var series []string
	number := map[string]int{}
	for _, b := range bars {
		most = max(most, b.Seconds)
		if _, ok := number[b.Series]; !ok {
			number[b.Series] = len(series)
			series = append(series, b.Series)
		}
	}
	shown := bars[:min(len(bars), mostMarks)]
	c.begin("time of each partition and copy", len(shown)*chartRow+34)
	c.legend(labelWidth, 14, series)
	c.marks(len(bars))
	for i, b := range shown {
		y := 24 + float64(i*chartRow)
		c.text(8, y+14, "", "start", clip(b.Name, 46))
		w := 0.0
		if most > 0 {
			w = b.Seconds / most * (chartWidth - labelWidth - 110)
		}
		c.p(`<rect class="s%d" x="%d" y="%.0f" width="%.1f" height="%d" rx="2"/>`, number[b.Series]%colours, labelWidth, y+3, w, chartRow-6)
		c.text(labelWidth+w+6, y+14, "dim", "start", fmt.Sprintf("%.3g ms", b.Seconds*1e3))
	}
	return c.end()
}
