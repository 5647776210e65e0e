package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Drawing is plans as boxes and edges: what the callers give and take, what each
// device runs, every copy, and what flows between them. States stay where they are
// and are counted in the boxes that write them.
type Drawing struct {
	lanes []string // devices, a column each
	boxes []box
	edges []edge
	at    map[[2]int]int // indexes of edges by their ends
}

// kind says what a box stands for.
type kind string

const (
	inputs  kind = "inputs"
	outputs kind = "outputs"
	part    kind = "partition"
	copied  kind = "copy"
)

type box struct {
	kind   kind
	phase  string
	lane   int
	title  string
	chips  []chip   // of a partition: its parts
	values []string // of a copy, inputs and outputs

	x, y, w, h int
}

// chip is a part of a partition: a stage, or its layers from one to another.
type chip struct {
	stage, text string
}

// edge says that one box reads what another makes.
type edge struct {
	from, to int
	link     bool // from one phase to a later one
	values   []string
}

// Draw derives the drawing from plans in the order in which they run.
func Draw(plans []*partition.Plan) *Drawing {
	d := &Drawing{at: map[[2]int]int{}}
	d.lane(string(graph.Host))
	made := map[string]int{} // outputs of earlier phases to their box
	for _, p := range plans {
		d.addPhase(p, made)
	}
	d.place()
	return d
}

// lane returns the column of a device.
func (d *Drawing) lane(device string) int {
	i := slices.Index(d.lanes, device)
	if i < 0 {
		i = len(d.lanes)
		d.lanes = append(d.lanes, device)
	}
	return i
}

func (d *Drawing) addBox(b box) int {
	d.boxes = append(d.boxes, b)
	return len(d.boxes) - 1
}

// flow adds a value to the edge between two boxes.
func (d *Drawing) flow(from, to int, link bool, v *graph.Value) {
	i, ok := d.at[[2]int{from, to}]
	if !ok {
		i = len(d.edges)
		d.at[[2]int{from, to}] = i
		d.edges = append(d.edges, edge{from: from, to: to, link: link})
	}
	d.edges[i].values = append(d.edges[i].values, describe(v))
}

// describe says what a value is: its name before copies, type, and bytes as a
// formula.
func describe(v *graph.Value) string {
	t := v.Type
	t.Space = "" // as the column says
	return partition.Source(v).Name + " " + t.String() + ", " + partition.BytesOf(t).String() + " bytes"
}

// copyKey tells copies that go the same way: from one box, between the same spaces,
// to the same readers. They are drawn as one box.
type copyKey struct {
	from          int
	source, space string
	readers       string
}

func (d *Drawing) addPhase(p *partition.Plan, made map[string]int) {
	state := p.Graph.StateValues()
	moves := func(v *graph.Value) bool { return v != nil && v.Const == nil && !state[v] }
	owner := map[*graph.Value]int{} // the box that makes a value
	caller := d.addBox(box{kind: inputs, phase: p.Phase, title: p.Phase + ": inputs"})
	for _, v := range p.Graph.Inputs {
		if !moves(v) {
			continue
		}
		owner[v] = caller
		d.boxes[caller].values = append(d.boxes[caller].values, describe(v))
		if from, ok := made[v.Name]; ok {
			d.flow(from, caller, true, v)
		}
	}
	read := readers(p)
	groups := map[copyKey]int{}
	for _, step := range p.Steps {
		if n := step.Copy; n != nil {
			v, from, to := n.Inputs[0], n.Str("from", ""), n.Str("to", "")
			key := copyKey{owner[v], from, to, read[n.Out(0)]}
			i, ok := groups[key]
			if !ok {
				i = d.addBox(box{kind: copied, phase: p.Phase, lane: d.lane(deviceOf(p, to)), title: "copy " + from + " → " + to})
				groups[key] = i
			}
			owner[n.Out(0)] = i
			d.boxes[i].values = append(d.boxes[i].values, describe(v))
			d.flow(owner[v], i, false, v)
			continue
		}
		b := step.Partition
		i := d.addBox(box{kind: part, phase: p.Phase, lane: d.lane(b.Target), title: p.Phase + " " + strconv.Itoa(b.Index) + " on " + b.Target, chips: chips(b)})
		for _, v := range b.Inputs {
			if from, ok := owner[v]; ok && moves(v) {
				d.flow(from, i, false, v)
			}
		}
		for _, v := range b.Outputs {
			owner[v] = i
		}
	}
	taken := d.addBox(box{kind: outputs, phase: p.Phase, title: p.Phase + ": outputs"})
	for _, v := range p.Graph.Outputs {
		if !moves(v) {
			continue
		}
		made[partition.Source(v).Name] = taken
		d.boxes[taken].values = append(d.boxes[taken].values, describe(v))
		if from, ok := owner[v]; ok {
			d.flow(from, taken, false, v)
		}
	}
}

// readers lists, for each value that a copy makes, the steps that read it.
func readers(p *partition.Plan) map[*graph.Value]string {
	out := map[*graph.Value]string{}
	for i, step := range p.Steps {
		if n := step.Copy; n != nil {
			out[n.Inputs[0]] += " " + strconv.Itoa(i)
			continue
		}
		for _, v := range step.Partition.Inputs {
			out[v] += " " + strconv.Itoa(i)
		}
	}
	for _, v := range p.Graph.Outputs {
		out[v] += " end"
	}
	return out
}

// deviceOf names the device whose space a copy brings something into.
func deviceOf(p *partition.Plan, space string) string {
	for _, b := range p.Partitions() {
		if string(b.Space) == space {
			return b.Target
		}
	}
	return space
}

// chips says in a few words what a partition holds: runs of layers, and the parts
// that stand once.
func chips(b *partition.Partition) []chip {
	type group struct {
		key, stage string
		layers     []int
		nodes      int
	}
	var groups []*group
	byKey := map[string]*group{}
	for _, n := range b.Nodes {
		key, layer := partOf(n.Path)
		g := byKey[key]
		if g == nil {
			stage, _, _ := strings.Cut(n.Path, ".")
			g = &group{key: key, stage: stage}
			byKey[key] = g
			groups = append(groups, g)
		}
		g.nodes++
		if layer >= 0 {
			g.layers = append(g.layers, layer)
		}
	}
	var out []chip
	for _, g := range groups {
		text := g.key
		if text == "" {
			text = "the graph"
		}
		if len(g.layers) > 0 {
			text += " " + ranges(g.layers)
		}
		out = append(out, chip{g.stage, text + ": " + plural(g.nodes, "node")})
	}
	out = append(out, chip{"", plural(len(b.Kernels), "kernel")})
	if n := len(b.States); n > 0 {
		out[len(out)-1].text += ", " + plural(n, "state")
	}
	return out
}

// partOf cuts a canonical path before its first number, which it returns, or after
// two names where there is none (-1).
func partOf(path string) (key string, layer int) {
	names := strings.Split(path, ".")
	for i, s := range names {
		if n, err := strconv.Atoi(s); err == nil && n >= 0 && i > 0 {
			return strings.Join(names[:i], "."), n
		}
	}
	return strings.Join(names[:min(2, len(names))], "."), -1
}

// ranges writes "0–17, 20". It sorts the numbers.
func ranges(numbers []int) string {
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	var out []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		text := strconv.Itoa(numbers[i])
		if j > i {
			text += "–" + strconv.Itoa(numbers[j])
		}
		out = append(out, text)
		i = j + 1
	}
	return strings.Join(out, ", ")
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// The measures of a drawing, in pixels.
const (
	boxWidth = 330
	gutter   = 70
	rowGap   = 34
	titleRow = 26
	lineRow  = 20
	mostRows = 8 // of text in a box; a title lists the rest
	margin   = 16
)

// rows is what a box shows below its title.
func (b *box) rows() int {
	n := len(b.chips)
	if b.kind != part {
		n = len(b.values)
	}
	return min(n, mostRows)
}

// place puts each box below what it reads, in the column of its device; a phase
// begins where the one before ends.
func (d *Drawing) place() {
	feeds := make([][]int, len(d.boxes))
	for _, e := range d.edges {
		feeds[e.to] = append(feeds[e.to], e.from)
	}
	bottom := make([]int, len(d.lanes))
	for i := range bottom {
		bottom[i] = margin + titleRow
	}
	for i := range d.boxes {
		b := &d.boxes[i]
		if b.kind == inputs {
			floor := slices.Max(bottom)
			for k := range bottom {
				bottom[k] = floor
			}
		}
		b.w, b.h = boxWidth, titleRow+lineRow*b.rows()+6
		b.x = margin + gutter + b.lane*(boxWidth+gutter)
		b.y = bottom[b.lane]
		for _, from := range feeds[i] {
			b.y = max(b.y, d.boxes[from].y+d.boxes[from].h)
		}
		if b.kind == outputs { // the end of the phase
			b.y = max(b.y, slices.Max(bottom))
		}
		b.y += rowGap
		bottom[b.lane] = b.y + b.h
	}
}

// size is the drawing's extent in pixels.
func (d *Drawing) size() (w, h int) {
	for _, b := range d.boxes {
		w, h = max(w, b.x+b.w), max(h, b.y+b.h)
	}
	return w + gutter + margin, h + margin
}

// route is the line of an edge: straight down to the box below, or else through the
// gutter beside the lower box's column.
type route struct {
	edge   *edge
	x1, y1 int
	x2, y2 int
	via    int // the gutter's x
	down   bool
}

// routes leads every edge round the boxes between its ends. Edges that share a side
// of a box meet it at different heights, and those that share a gutter run beside
// each other.
func (d *Drawing) routes() []route {
	out := make([]route, len(d.edges))
	type side struct {
		box   int
		right bool
	}
	ends := map[side][]*int{}
	used := map[int]int{}
	for i := range d.edges {
		e := &d.edges[i]
		a, b := &d.boxes[e.from], &d.boxes[e.to]
		r := &out[i]
		r.edge = e
		if a.lane == b.lane && !d.between(e.from, e.to) {
			r.down = true
			r.x1, r.y1 = a.x+a.w/2, a.y+a.h
			r.x2, r.y2 = b.x+b.w/2, b.y
			continue
		}
		// It goes through the gutter on the side that it comes from: the left one
		// where the columns are the same.
		leaveRight, enterRight := a.lane < b.lane, a.lane > b.lane
		r.x1, r.x2 = a.x, b.x
		gap := b.lane
		if leaveRight {
			r.x1 += a.w
		}
		if enterRight {
			r.x2 += b.w
			gap++
		}
		r.via = margin + gap*(boxWidth+gutter) + 8 + used[gap]*7%(gutter-24)
		used[gap]++
		from, to := side{e.from, leaveRight}, side{e.to, enterRight}
		ends[from] = append(ends[from], &r.y1)
		ends[to] = append(ends[to], &r.y2)
	}
	for s, ys := range ends {
		b := &d.boxes[s.box]
		for k, y := range ys {
			*y = b.y + b.h*(k+1)/(len(ys)+1)
		}
	}
	return out
}

// between reports whether another box of the column lies between two.
func (d *Drawing) between(from, to int) bool {
	a, b := &d.boxes[from], &d.boxes[to]
	return slices.ContainsFunc(d.boxes, func(x box) bool {
		return x.lane == a.lane && x.y > a.y && x.y < b.y
	})
}

// bends is the way of a route as x and y in turn.
func (r *route) bends() []int {
	if r.down {
		return []int{r.x1, r.y1, r.x2, r.y2}
	}
	return []int{r.x1, r.y1, r.via, r.y1, r.via, r.y2, r.x2, r.y2}
}

// stages lists the stages of all partitions, for colours.
func (d *Drawing) stages() []string {
	var out []string
	for _, b := range d.boxes {
		for _, c := range b.chips {
			if c.stage != "" && !slices.Contains(out, c.stage) {
				out = append(out, c.stage)
			}
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}
