package host

import (
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
	"mnnconv/schemas/op"
)

// product is one call of a kernel that multiplies matrices with weights,
//
//	out = alpha·A·W + beta·bias + residual
//
// summed in float32 and rounded once to the output's type. It is cut into tasks,
// each a block of rows times a stripe of columns of one matrix.
type product struct {
	form     *productForm
	out      *graph.Tensor
	bias     *graph.Tensor // n numbers; nil: none
	residual *graph.Tensor // of the output's shape; nil: none

	left       dense
	right      weights
	dense      dense  // right, where that is a float tensor
	blocks     blocks // right, where that is quantised
	transposed bool   // right stores n rows of k, else k rows of n
	batch      batch
	m, k, n    int // of each matrix

	way            way
	rows, cols     int  // of a task
	fine           bool // tasks are small, as those side by side are done as one where [product.streams]
	widest         int  // columns of tasks that are done as one
	bands, stripes int  // of rows, of columns, in a matrix
	depth          int  // of a panel
	stride         int  // of rows of the left side that were converted
	tasks, together,
	scratch int

	pieces, deep int       // of k, and how many numbers of it are in one; see [pieces]
	apart        bool      // pieces are tasks of their own, before the others
	partial      []float32 // their sums then

	records simd.Panel[uint8] // left, quantised, where the way wants it so
	split   splitLeft         // or in parts
}

// way is how a product is computed. It follows from how the weights are stored
// and from the number of rows, up to 16 of which have the same bits on any one.
type way int

const (
	byRows           way        = iota // weights stored k×n, for a few rows: they are read in order
	byDots                             // stored n×k, for up to 16 rows: as many sums of products
	byPanels                           // stored k×n: a panel at a time is widened, and all rows pass by
	byStrips                           // stored n×k: the same, turned to k×n
	byPairs                            // of bfloat16, either way
	bySplits                           // of numbers in parts of bfloat16, either way
	byQuantisedDots                    // byDots, and
	byQuantisedTiles                   // byStrips, with activations quantised to 8 bits
	byRounded                          // of blocks, rounded to bfloat16 as activations are
	fewRows          = 16              // of byRows
	streamRows       = 4               // of those that read weights in order: more are better kept in registers
	splitLeast       = 32              // numbers of k that are worth their parts
	manyDots         = 16              // rows of byDots
	rowWide          = 512             // numbers of a row that byRows reads at least, where all workers have some
	panelDeep        = 256             // of byPanels and byStrips: a strip stays in the first cache
	panelWideRows    = 64              // up to which memory limits byPanels: longer stretches of fewer rows of weights
	dotsDeep         = 16 << 10        // of byDots: sums depend on where k is cut
	tilesDeep        = 64              // blocks of byQuantisedTiles
	dotsPanel        = 64 << 10        // numbers of weights that all rows pass by, in the second cache
)

// productForm is what the node or the pattern says of a product.
type productForm struct {
	nodes       []*graph.Node                              // what it covers, the last one giving the output
	in          []*graph.Value                             // what the kernel reads
	bind        func(p *product, in []*graph.Tensor) error // sets left, right, transposed, batch, m, k and n
	alpha, beta float32
	layout      layout
	math        arithmetic
	columns     bool // the output's last axis is that of the columns
	bias        int  // index in in; 0: none
	residual    int  // likewise
}

// layout is how weights are stored: those of a float type, or of blocks. Products of
// equal layouts, shapes and arithmetic are cut into equal tasks.
type layout struct {
	dtype      graph.DType
	transposed bool // stored n×k
	rank       int
	bits, size int // of blocks; 0: of a float type
}

// root is the node that gives the output.
func (f *productForm) root() *graph.Node { return f.nodes[len(f.nodes)-1] }

// name lists what the product covers.
func (f *productForm) name() string {
	names := make([]string, len(f.nodes))
	for i, n := range f.nodes {
		names[i] = n.OpName()
	}
	return strings.Join(names, "+")
}

// set makes p a product of these tensors, aligned with the form's inputs.
func (f *productForm) set(p *product, in []*graph.Tensor, out *graph.Tensor) error {
	p.form = f
	p.out, p.batch = out, batch{}
	if err := f.bind(p, in); err != nil {
		return err
	}
	if f.bias > 0 {
		if p.bias = in[f.bias]; p.bias.Len() != p.n {
			return fmt.Errorf("%w: a bias of shape %v for %d columns", op.ErrInput, p.bias.Shape, p.n)
		}
	}
	if f.residual > 0 {
		if p.residual = in[f.residual]; !slices.Equal(p.residual.Shape, p.out.Shape) {
			return fmt.Errorf("%w: a sum of shapes %v and %v", op.ErrInput, p.residual.Shape, p.out.Shape)
		}
	}
	if n := p.batch.count() * p.m * p.n; p.out.Len() != n {
		return fmt.Errorf("%w: %d products for an output of shape %v", op.ErrInput, n, p.out.Shape)
	}
	return nil
}

// operations is how many numbers are multiplied.
func (p *product) operations() int { return p.batch.count() * p.m * p.n * p.k }

// cut chooses the way and the extents of tasks. Tasks of few rows are stripes of
// weights, each of so many operations, which are streamed. Those of many
// rows are as even as they can be and have parts of some ten microseconds at least:
// a band of rows is converted again for each stripe, a stripe of weights for each
// band. Fine ones are for work that is worth it.
func (p *product) cut(workers, each int, fine bool) {
	p.pieces, p.apart, p.fine = 1, false, fine
	if p.out.Len() == 0 {
		p.tasks, p.together = 0, 1
		return
	}
	count := p.batch.count()
	quantised := (p.form.math == int8act || p.form.math == fast) && p.blocks.quantisable()
	switch {
	case quantised && p.m <= manyDots:
		p.way, p.depth = byQuantisedDots, p.k
	case quantised && p.form.math == fast && p.m >= roundedRows && vectors.HasTiles():
		p.way, p.depth = byRounded, 0
	case quantised && vectors.QuantisedCols(p.blocks.bits) > 0:
		p.way, p.depth = byQuantisedTiles, 0
	case p.m > manyDots && p.k >= splitLeast && vectors.HasTiles():
		p.way, p.depth = bySplits, 0
	case p.inPairs():
		p.way, p.depth = byPairs, 2*panelDeep
	case p.transposed && p.m <= manyDots:
		p.way, p.depth = byDots, min(p.k, dotsDeep)
	case p.transposed:
		p.way, p.depth = byStrips, min(p.k, panelDeep)
	case p.m <= fewRows:
		p.way, p.depth = byRows, min(p.k, panelDeep)
		if count == 1 {
			p.pieces, p.deep = cutPieces(p.k, p.n)
			p.apart = p.pieces > 1 && (p.m <= streamRows || p.k*p.n > pieceTogether)
		}
	default:
		p.way, p.depth = byPanels, min(p.k, panelDeep)
		if p.m <= panelWideRows {
			p.depth = min(p.k, panelDeep/4)
		}
	}
	if p.way == byDots || p.way == byQuantisedDots || p.way == byRows {
		p.rows, p.bands = p.m, 1
		if p.streams() && p.fine {
			each = ceil(each, finer)
		}
		cols := ceil(max(1, each), max(1, p.m*p.k))
		switch {
		case p.apart && p.partials() < joinWhole: // what is left to do is to add them
			cols = p.n
		case p.apart:
			cols = ceil(p.n, workers)
		case p.pieces > 1:
			cols = ceil(cols, strip) * strip
		case p.way == byRows: // each row of a stripe is read in order, and some rows at once
			cols = max(cols, min(rowWide, ceil(p.n, workers)))
		}
		p.cols = min(4096, (cols+7)&^7, (p.n+7)&^7)
	} else {
		most := 256
		if p.way == byPanels && p.m <= panelWideRows {
			most = 1024
		}
		p.rows, p.cols = p.grain(most).even(p.m, p.n, count, workers)
	}
	p.divide()
}

// divide cuts the product into tasks of rows×cols, and says what scratch they need.
func (p *product) divide() {
	part := 1 << 20 // products
	if p.way == byRows && p.m > streamRows {
		part = 1 << 17
	}
	count := p.batch.count()
	p.stripes, p.bands = ceil(p.n, p.cols), ceil(p.m, p.rows)
	p.tasks = count * p.stripes * p.bands
	if p.widest = p.cols; p.streams() {
		p.widest = min(4096, (p.n+7)&^7)
		if p.fine {
			part /= finer
		}
	}
	p.together = max(1, int(float64(part)/(float64(p.rows)*float64(p.cols)*float64(p.k+8))))

	whole := (p.depth + simd.Block - 1) &^ (simd.Block - 1)
	p.stride = whole + pad
	weights := 0
	switch p.way {
	case byRows:
		weights = p.depth * p.cols
		if p.pieces > 1 {
			weights += p.rows * p.cols
		}
	case byDots:
		weights = max(dotsPanel, 2*p.stride)
	case byPanels:
		weights = p.depth * (p.cols + pad)
	case byStrips:
		weights = (2*strip + 1) * whole
	}
	if p.way == byPairs {
		p.stride = panelDeep + pad
		weights = max(panelDeep*(p.cols+pad), strip*(2*panelDeep+pad))
	}
	left := p.rows * p.stride
	switch p.way {
	case bySplits, byRounded:
		parts, more := p.splitScratch()
		left, weights = 0, parts+more
	case byQuantisedDots:
		k := ceil(p.k, simd.Block)
		left, weights = 0, max(dotsPanel, (4+manyDots)*k)+manyDots*k
	case byQuantisedTiles:
		left, weights = 0, (2*strip+manyDots)*tilesDeep
	}
	p.scratch = p.kept() + left + weights
}

// kept is how much of its scratch a task still needs once it has its sums.
func (p *product) kept() int {
	return (p.sumRows(p.rows) + 2) * wholeStrips(p.widest)
}

// inParts tells whether both sides are in parts.
func (p *product) inParts() bool { return p.way == bySplits || p.way == byRounded }

// sumRows is how many rows of sums m rows need.
func (p *product) sumRows(m int) int {
	if p.inParts() { // tiles write whole blocks
		return ceil(m, simd.PartsBlock) * simd.PartsBlock
	}
	return m
}

// wholeStrips rounds a number of columns up to whole strips.
func wholeStrips(n int) int { return (n + strip - 1) &^ (strip - 1) }

// streams tells whether a task reads rows of weights in order, whole and only once, so that tasks
// side by side are done faster as one.
func (p *product) streams() bool { return p.way == byDots || p.way == byQuantisedDots }

// finer is into how many parts what would be one is cut where those side by side are done as one.
const finer = 8

const (
	strip = 32 // columns of byStrips
	pad   = 16 // numbers between rows, so that they do not compete for the same lines of a cache
)

// grain says how tasks may be cut: rows in multiples of rows, up to maxRows, columns up
// to maxCols; and what it costs to convert a row and a column, beside a product of
// numbers.
type grain struct{ rows, maxRows, maxCols, aRow, aCol int }

// grain returns that of the product's way.
func (p *product) grain(maxCols int) grain {
	switch p.way {
	case byRounded:
		return grain{32, 1024, maxCols, 4, 64}
	case bySplits: // with more parts, the left side is more to read again for each stripe
		return grain{32, 1024, 2 * maxCols, 4, 64}
	}
	return grain{12, 768, maxCols, 12, 64}
}

// even returns the extents of tasks, of which each of the workers gets as much.
func (g grain) even(m, n, count, workers int) (rows, cols int) {
	best := 0
	for bands := ceil(m, g.maxRows); bands <= ceil(m, g.maxRows)+3; bands++ {
		r := ceil(ceil(m, bands), g.rows) * g.rows
		for c := 32; c <= g.maxCols; c += 32 {
			tasks := count * ceil(m, r) * ceil(n, c)
			cost := ceil(tasks, workers) * (min(r, m)*c + g.aRow*min(r, m) + g.aCol*c)
			if best == 0 || cost < best {
				best, rows, cols = cost, r, c
			}
		}
	}
	return min(rows, m), cols
}

func ceil(a, b int) int { return (a + b - 1) / b }

// parts returns into how many parts the tasks fall.
func (p *product) parts() int { return ceil(p.tasks, p.together) }

// stretch calls do for the tasks of parts from to to-1, as few as there may be.
func (p *product) stretch(from, to int, do func(task)) {
	for i, end := from*p.together, min(to*p.together, p.tasks); i < end; {
		t := p.task(i)
		for i++; p.streams() && i < end && i%p.stripes > 0 && t.n+p.cols <= p.widest; i++ {
			t.n = min(t.n+p.cols, p.n-t.col)
		}
		do(t)
	}
}

// task is rows from row on times columns from col on, of one matrix.
type task struct{ matrix, row, col, m, n int }

// task returns task t. Bands run fastest, so that those that share a stripe of
// weights meet it in a cache.
func (p *product) task(t int) task {
	matrix, t := t/(p.stripes*p.bands), t%(p.stripes*p.bands)
	row, col := t%p.bands*p.rows, t/p.bands*p.cols
	return task{matrix, row, col, min(p.rows, p.m-row), min(p.cols, p.n-col)}
}

// at returns where the task's numbers of row i start in the output.
func (p *product) at(t task, i int) int { return (t.matrix*p.m+t.row+i)*p.n + t.col }

// sums computes A·W for a task, in scratch of p.scratch numbers, and loads its bias.
// extra is room for a row beside them.
func (p *product) sums(w *Worker, scratch []float32, t task) (sums panel, bias, extra []float32) {
	ia, ib := p.batch.at(t.matrix)
	stride := wholeStrips(t.n)
	size := p.sumRows(t.m) * stride
	sums, scratch = panelOf(scratch[:size], stride), scratch[size:]
	bias, scratch = scratch[:t.n], scratch[stride:]
	extra, scratch = scratch[:t.n], scratch[stride:]
	clear(sums.At)
	switch p.way {
	case byQuantisedDots:
		p.quantisedDots(sums, scratch, t.row, t.col, t.m, t.n)
	case byQuantisedTiles:
		p.quantisedTiles(w, sums, scratch, t.row, t.col, t.m, t.n)
	case byPairs:
		p.pairedProducts(sums, scratch, ia*p.m+t.row, ib, t.col, t.m, t.n)
	case bySplits, byRounded:
		p.splitProducts(sums, scratch, ia, t.row, ib, t.col, t.m, t.n)
	default:
		switch {
		case p.apart:
			p.join(sums, t)
		case p.pieces > 1:
			p.addPieces(sums, scratch, t)
		default:
			p.products(sums, scratch, ia*p.m+t.row, ib, t.col, t.m, t.n)
		}
	}
	if p.bias != nil {
		loadFloats(bias, p.bias.DType, p.bias.Data, t.col)
		scale(bias, p.form.beta)
	}
	return sums, bias, extra
}

// complete makes alpha·A·W + beta·bias of a row of sums.
func (p *product) complete(s, bias []float32) []float32 {
	scale(s, p.form.alpha)
	if p.bias != nil {
		add(s, bias)
	}
	return s
}

// store computes a task, and its part of the output.
func (p *product) store(w *Worker, scratch []float32, t task) {
	sums, bias, extra := p.sums(w, scratch, t)
	for i := range t.m {
		s, at := p.complete(sums.Row(i, t.n), bias), p.at(t, i)
		if p.residual == nil {
			storeFloats(p.out.Data, p.out.DType, at, s)
			continue
		}
		y := floatsFor(p.out, at, s)
		vectors.Add(y, s, floatsOf(p.residual, at, extra))
		putFloats(p.out, at, y)
	}
}

// products computes the sums of a task from floats: rows from row on, columns from col
// on of matrix ib.
func (p *product) products(sums panel, scratch []float32, row, ib, col, m, n int) {
	a := panelOf(scratch[:p.rows*p.stride], p.stride)
	scratch = scratch[len(a.At):]
	for k0 := 0; k0 < p.k; k0 += p.depth {
		k := min(p.depth, p.k-k0)
		for i := range m {
			loadFloats(a.Row(i, k), p.left.dtype, p.left.data, (row+i)*p.k+k0)
		}
		switch p.way {
		case byRows:
			if m > streamRows {
				p.right.tiles(sums, a, scratch, ib*p.k+k0, col, m, k, n)
			} else {
				p.right.stream(sums, a, scratch, ib*p.k+k0, col, m, k, n)
			}
		case byDots:
			for i := range m {
				clear(a.Row(i, a.Stride)[k:])
			}
			p.right.arrange(a, m, k)
			most := max(1, dotsPanel/p.stride-1) // and their scales and zeros
			for j := 0; j < n; j += most {
				p.right.dots(sums.From(0, j), a, scratch, ib*p.n+col+j, k0, m, k, min(most, n-j))
			}
		case byPanels:
			w := panelOf(scratch, p.cols+pad)
			p.right.panel(w, ib*p.k+k0, col, k, n)
			vectors.Rows(sums, a, w, m, k, n)
		case byStrips:
			turned := panelOf(scratch[:p.depth*strip], strip)
			for j := 0; j < n; j += strip {
				some := min(strip, n-j)
				w := p.right.view(scratch[p.depth*strip:], ib*p.n+col+j, k0, some, k)
				vectors.Transpose(turned, w, some, k)
				vectors.Rows(sums.From(0, j), a, turned, m, k, some)
			}
		}
	}
}

// scale multiplies every s.
func scale(s []float32, by float32) {
	if by != 1 {
		vectors.Scale(s, s, by)
	}
}

// add adds t to s, number by number.
func add(s, t []float32) { vectors.Add(s, s, t[:len(s)]) }
