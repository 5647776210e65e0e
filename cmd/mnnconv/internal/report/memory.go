package report

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// mostPoints is how many points the curve of one phase has; beyond them each stands
// for the most of several ticks.
const mostPoints = 1000

// span is what a space holds while one phase runs.
type span struct {
	phase  string
	budget partition.PhaseBudget
	arena  int64   // bytes laid out for values
	live   []int64 // bytes of values alive, by tick
}

// Space is the memory of one space over time.
type Space struct {
	Name  string
	spans []span
	limit *partition.Limit // the smallest; nil: none is known
}

// Spaces lays plans out at the bounds of a budget, and follows every space through
// the phases: a tick is a kernel or a copy.
func Spaces(plans []*partition.Plan, bounds map[string]graph.Env, b *partition.Budget) ([]Space, error) {
	out := make([]Space, len(b.Spaces))
	for i, s := range b.Spaces {
		out[i].Name = string(s.Space)
		for _, l := range s.Limits {
			if !l.Alloc && (out[i].limit == nil || l.Bytes < out[i].limit.Bytes) {
				out[i].limit = &l
			}
		}
	}
	for k, p := range plans {
		m, err := p.Layout(bounds[p.Phase])
		if err != nil {
			return nil, err
		}
		ticks := 1
		for _, a := range m.Arenas {
			for _, slot := range a.Slots {
				ticks = max(ticks, slot.Last+1)
			}
		}
		for i, s := range b.Spaces {
			x := span{phase: p.Phase, budget: s.Phases[k], live: make([]int64, ticks)}
			if a := m.Arena(s.Space); a != nil {
				x.arena, x.live = a.Size, alive(a, ticks)
			}
			out[i].spans = append(out[i].spans, x)
		}
	}
	return out, nil
}

// alive adds up the slots alive at each tick.
func alive(a *partition.Arena, ticks int) []int64 {
	change := make([]int64, ticks+1)
	for _, s := range a.Slots {
		first := min(max(s.First, 0), ticks)
		change[first] += s.Size
		change[min(max(s.Last+1, first), ticks)] -= s.Size
	}
	sum := int64(0)
	for i, d := range change {
		sum += d
		change[i] = sum
	}
	return change[:ticks]
}

// thin keeps the most of each run of ticks, and how many ticks a run is.
func thin(live []int64) (points []int64, run int) {
	run = (len(live) + mostPoints - 1) / mostPoints
	for part := range slices.Chunk(live, run) {
		points = append(points, slices.Max(part))
	}
	return points, run
}

// Chart draws the space: what stays below, what is alive above, and what is laid out
// for that as a line.
func (s *Space) Chart(bytes func(int64) string) Markup {
	const left, right, top, height = 90, 880, 30, 250
	var c canvas
	ticks, most := 0, int64(1)
	for _, x := range s.spans {
		ticks += len(x.live)
		most = max(most, x.base()+x.arena, x.base()+slices.Max(x.live))
	}
	c.begin("memory of "+s.Name+" over time", height+50)
	c.legend(left, 14, []string{"constants", "state", "staging", "values alive"})
	y := func(n int64) float64 { return top + (1-float64(n)/float64(most))*(height-top) }
	for k := range int64(5) {
		n := most * k / 4
		c.p(`<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`, left, y(n), right, y(n))
		c.text(left-8, y(n)+4, "dim", "end", bytes(n))
	}
	at := 0
	scale := float64(right-left) / float64(max(ticks, 1))
	for _, x := range s.spans {
		begin := left + float64(at)*scale
		at += len(x.live)
		end := left + float64(at)*scale
		floor := int64(0)
		for i, n := range []int64{x.budget.Constants, x.budget.State, x.budget.Staging} {
			if n > 0 {
				c.p(`<rect class="s%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s, %s</title></rect>`, i, begin, y(floor+n), end-begin, y(floor)-y(floor+n), escape(x.phase), bytes(n))
			}
			floor += n
		}
		points, run := thin(x.live)
		c.p(`<path class="s3" d="M%.1f %.1f`, begin, y(floor))
		for i, n := range points {
			c.p("V%.1fH%.1f", y(floor+n), min(end, begin+float64((i+1)*run)*scale))
		}
		c.p(`V%.1fz"><title>%s: values, at most %s</title></path>`, y(floor), escape(x.phase), bytes(slices.Max(x.live)))
		if x.arena > 0 {
			c.p(`<line class="limit" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"><title>laid out: %s</title></line>`, begin, y(floor+x.arena), end, y(floor+x.arena), bytes(x.arena))
		}
		c.p(`<line class="axis" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, end, top, end, height)
		c.text((begin+end)/2, height+18, "", "middle", fmt.Sprintf("%s, %s", x.phase, plural(len(x.live), "tick")))
	}
	if s.limit != nil {
		c.text(right, height+38, "dim", "end", s.limit.What+": "+bytes(s.limit.Bytes))
	}
	c.p(`<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`, left, height, right, height)
	return c.end()
}

// base is what a space holds besides values.
func (x *span) base() int64 { return x.budget.Constants + x.budget.State + x.budget.Staging }
