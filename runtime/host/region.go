package host

import (
	"strings"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// region is the kernel of products of one left side: the parts of all of them run as
// one. Where left is quantised, that is done once for all.
type region struct {
	products []*productForm // the left side is input 0 of each
	gate     *gate          // of two products; nil: each product is an output
}

// group is the kernel.
func (f *region) group() Group {
	g := Group{Kernel: f.run, region: f}
	names := make([]string, len(f.products))
	for i, p := range f.products {
		names[i] = p.name()
		g.Nodes = append(g.Nodes, p.nodes...)
		in := p.in
		if i > 0 {
			in = in[1:]
		}
		g.In, g.Out = append(g.In, in...), append(g.Out, p.root().Outputs...)
	}
	g.Name = strings.Join(names, ", ")
	return g
}

// quantise gives the products of a group the arithmetic that math chooses. ok is false
// where that leaves no kernel: a gate wants the same for both of its products.
func (g *Group) quantise(math Math) (ok bool) {
	if g.region == nil {
		return true
	}
	modes := map[arithmetic]int{}
	for _, p := range g.region.products {
		if p.math = exact; p.layout.bits > 0 {
			p.math = math.of(p.root())
		}
		modes[p.math]++
	}
	for _, mode := range []arithmetic{int8act, fast} {
		if modes[mode] > 0 {
			g.Name += " " + string(mode)
		}
	}
	return g.region.gate == nil || len(modes) == 1
}

// fineWork is how many products a region has at least whose tasks are cut finely: some
// ten microseconds on all processors.
const fineWork = 2 << 20

// running is one call of a region.
type running struct {
	form     *region
	products []product
	in       [][]*graph.Tensor // of each product
	ends     []int             // of each product's parts
	left     left
	pieces   pieces
}

func (f *region) run(c *Call) error {
	r := memo[running](c)
	if r.form == nil {
		*r = running{form: f, products: make([]product, len(f.products)), in: make([][]*graph.Tensor, len(f.products)), ends: make([]int, len(f.products))}
		for i, p := range f.products {
			r.in[i] = make([]*graph.Tensor, len(p.in))
		}
	}
	next, all := 1, 0
	for i, form := range f.products {
		in, out := r.in[i], c.Out[0]
		if f.gate == nil {
			out = c.Out[i]
		}
		in[0] = c.In[0]
		next += copy(in[1:], c.In[next:])
		if err := form.set(&r.products[i], in, out); err != nil {
			return err
		}
		all += r.products[i].operations()
	}
	workers := c.Pool.Workers()
	each := ceil(all, max(1, min(4*workers, all/(64<<10))))
	parts, partials, streams := 0, 0, true
	for i := range r.products {
		r.products[i].cut(workers, each, all > fineWork)
		streams = streams && r.products[i].streams()
		partials += r.products[i].partials()
		if f.gate == nil || i == 0 {
			parts += r.products[i].parts()
		}
		r.ends[i] = parts
	}
	if err := r.left.prepare(c, r.products, partials); err != nil {
		return err
	}
	if partials > 0 {
		if err := r.pieces.run(c, r.products); err != nil {
			return err
		}
	}
	if streams {
		return c.RunStretches(parts, r)
	}
	return c.Run(parts, r)
}

// Part implements [Parts].
func (r *running) Part(w *Worker, i int) { r.Stretch(w, i, i+1) }

// Stretch implements [Stretches].
func (r *running) Stretch(w *Worker, from, to int) {
	if r.form.gate != nil {
		r.form.gate.stretch(w, &r.products[0], &r.products[1], from, to)
		return
	}
	start := 0
	for j, end := range r.ends {
		if from < end && to > start {
			p := &r.products[j]
			scratch := w.Floats(p.scratch)
			p.stretch(max(from, start)-start, min(to, end)-start, func(t task) { p.store(w, scratch, t) })
		}
		start = end
	}
}

// left makes, of the rows that products share, what they want: records of dots or of
// tiles, for weights of 4 or of 8 bits, or parts.
type left struct {
	rows    dense
	blocks  int
	records [2][2]simd.Panel[uint8] // of dots and tiles; for 4 and 8 bits
	splits  []splitLeft             // one for each number of rows that a matrix has, and rounded ones
	cut     cut
}

// split returns the parts that a product wants.
func (l *left) split(p *product) *splitLeft {
	for i := range l.splits {
		if l.splits[i].rows == p.m && l.splits[i].rounded == (p.way == byRounded) {
			return &l.splits[i]
		}
	}
	return nil
}

// prepare makes them, and gives products room for so many sums of pieces.
func (l *left) prepare(c *Call, products []product, partials int) error {
	*l = left{splits: l.splits[:0]}
	size := 0
	wanted := func(do func(p *product, x *simd.Panel[uint8])) {
		for i := range products {
			p := &products[i]
			if p.tasks > 0 && (p.way == byQuantisedDots || p.way == byQuantisedTiles) {
				do(p, &l.records[p.way-byQuantisedDots][p.blocks.bits/8])
			}
		}
	}
	wanted(func(p *product, x *simd.Panel[uint8]) {
		if x.Stride > 0 {
			return
		}
		l.rows, l.blocks = p.left, ceil(p.k, simd.Block)
		if x.Stride = simd.TileRecords(l.blocks); p.way == byQuantisedDots {
			x.Stride = simd.DotRecords(p.blocks.bits, l.blocks)
		}
		l.cut = cutBy(p.m, p.k)
		size += p.m * x.Stride
	})
	inParts := 0
	for i := range products {
		if p := &products[i]; p.inParts() && p.tasks > 0 && l.split(p) == nil {
			s := splitLeftOf(p)
			l.splits = append(l.splits, s)
			l.rows, l.blocks, l.cut = p.left, max(l.blocks, s.Steps), cutBy(s.matrices*s.rows, p.k)
			inParts += s.size()
		}
	}
	if size+inParts+partials == 0 {
		return nil
	}
	memory := c.shared(4*(inParts+partials) + size)
	for i := range l.splits { // first, since tiles are read fast where lines of a cache start
		s := &l.splits[i]
		n := 4 * s.size()
		s.At, memory = graph.ViewBytes[float32](memory[:n]), memory[n:]
	}
	for i := range products {
		p := &products[i]
		if s := l.split(p); p.inParts() && s != nil {
			p.split = *s
		}
		n := 4 * p.partials()
		p.partial, memory = graph.ViewBytes[float32](memory[:n]), memory[n:]
	}
	if size+inParts == 0 {
		return nil
	}
	wanted(func(p *product, x *simd.Panel[uint8]) {
		if x.At == nil {
			x.At, memory = memory[:p.m*x.Stride], memory[p.m*x.Stride:]
		}
		p.records = *x
	})
	return c.Run(l.cut.parts(), l)
}

// Part implements [Parts].
func (l *left) Part(w *Worker, i int) {
	x := w.Floats(l.blocks * simd.Block)
	from, to := l.cut.part(i)
	for r := from; r < to; r++ {
		loadFloats(x[:l.rows.cols], l.rows.dtype, l.rows.data, r*l.rows.cols)
		clear(x[l.rows.cols:])
		for i := range l.splits {
			l.splits[i].set(r, x)
		}
		for b, bits := range []int{4, 8} {
			if dots := &l.records[0][b]; dots.At != nil {
				vectors.QuantiseDots(dots.Row(r, dots.Stride), x, bits, l.blocks)
			}
			if tiles := &l.records[1][b]; tiles.At != nil {
				vectors.QuantiseTiles(tiles.Row(r, tiles.Stride), x, bits, l.blocks)
			}
		}
	}
}
