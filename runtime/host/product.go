package host

import (
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// product is one call of a kernel that multiplies matrices with weights,
//
//	out = alpha·A·W + beta·bias + residual
//
// summed in float32 and rounded once to the output's type. It is cut into tasks,
// each a block of rows times a stripe of columns of one matrix.
type product struct {
	inner    inner
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

	rows, cols     int // of a task
	bands, stripes int // of rows, of columns, in a matrix
	depth, width   int // of a panel of weights
	tasks, together,
	scratch int
}

// productForm is what the node or the pattern says of a product.
type productForm struct {
	nodes       []*graph.Node                              // what it covers, the last one giving the output
	in          []*graph.Value                             // what the kernel reads
	bind        func(p *product, in []*graph.Tensor) error // sets left, right, transposed, batch, m, k and n
	alpha, beta float32
	columns     bool // the output's last axis is that of the columns
	bias        int  // index in in; 0: none
	residual    int  // likewise
}

// group is the kernel of the form.
func (f *productForm) group() Group {
	names := make([]string, len(f.nodes))
	for i, n := range f.nodes {
		names[i] = n.OpName()
	}
	root := f.nodes[len(f.nodes)-1]
	return Group{Name: strings.Join(names, "+"), Nodes: f.nodes, In: f.in, Out: root.Outputs, Kernel: f.run}
}

func (f *productForm) run(c *Call) error {
	p := memo[product](c)
	if p.form == nil {
		p.form, p.inner = f, newInner()
	}
	p.out, p.batch = c.Out[0], batch{}
	if err := f.bind(p, c.In); err != nil {
		return err
	}
	if f.bias > 0 {
		if p.bias = c.In[f.bias]; p.bias.Len() != p.n {
			return fmt.Errorf("%w: a bias of shape %v for %d columns", op.ErrInput, p.bias.Shape, p.n)
		}
	}
	if f.residual > 0 {
		if p.residual = c.In[f.residual]; !slices.Equal(p.residual.Shape, p.out.Shape) {
			return fmt.Errorf("%w: a sum of shapes %v and %v", op.ErrInput, p.residual.Shape, p.out.Shape)
		}
	}
	if n := p.batch.count() * p.m * p.n; p.out.Len() != n {
		return fmt.Errorf("%w: %d products for an output of shape %v", op.ErrInput, n, p.out.Shape)
	}
	p.cut(c.Pool.Workers())
	return c.Run((p.tasks+p.together-1)/p.together, p)
}

// cut chooses the extents of tasks and panels: panels of 64 KiB, which stay in
// the second cache while all rows of a task pass by; tasks enough for all
// workers, of columns rather than of rows, since each band of rows converts the
// weights again; and parts of some ten microseconds at least.
func (p *product) cut(workers int) {
	const (
		panel            = 16 << 10 // numbers
		maxRows          = 128
		minCols, maxCols = 64, 512
		few              = 4 // rows, below which weights are rather streamed
		streamed         = 4096
		part             = 64 << 10 // products
	)
	if p.out.Len() == 0 {
		p.tasks, p.together = 0, 1
		return
	}
	count := p.batch.count()
	wide := maxCols
	if p.m < few {
		wide = streamed
	}
	want := ceil(2*workers, count)
	p.stripes = max(ceil(p.n, wide), min(want, ceil(p.n, minCols)))
	p.bands = max(ceil(p.m, maxRows), min(ceil(want, p.stripes), ceil(p.m, 8)))
	p.cols = (ceil(p.n, p.stripes) + 15) &^ 15
	p.rows = ceil(p.m, p.bands)
	p.stripes, p.bands = ceil(p.n, p.cols), ceil(p.m, p.rows)
	p.tasks = count * p.stripes * p.bands
	p.together = max(1, int(part/(float64(p.rows)*float64(p.cols)*float64(p.k+8))))

	p.width = p.cols // of stored rows, as long stretches as there are
	if p.transposed {
		p.width = 32
		if p.m < few {
			p.width = 4
		}
	}
	p.depth = min(panel/p.width, p.k)
	p.scratch = (p.rows+2)*p.cols + p.width*p.depth + p.rows*p.depth
}

func ceil(a, b int) int { return (a + b - 1) / b }

// Part implements [Parts].
func (p *product) Part(w *Worker, i int) {
	scratch := w.Floats(p.scratch)
	for t := i * p.together; t < min((i+1)*p.together, p.tasks); t++ {
		p.task(scratch, t)
	}
}

// task computes task t. Bands run fastest, so that those that share a stripe of
// weights meet it in a cache.
func (p *product) task(scratch []float32, t int) {
	matrix, t := t/(p.stripes*p.bands), t%(p.stripes*p.bands)
	row, col := t%p.bands*p.rows, t/p.bands*p.cols
	m, n := min(p.rows, p.m-row), min(p.cols, p.n-col)
	ia, ib := p.batch.at(matrix)

	sums, scratch := panel{scratch[:m*n], n}, scratch[m*n:]
	bias, scratch := scratch[:n], scratch[n:]
	extra, scratch := scratch[:n], scratch[n:]
	forLeft, forRight := scratch[:p.rows*p.depth], scratch[p.rows*p.depth:]
	clear(sums.at)
	for k0 := 0; k0 < p.k; k0 += p.depth {
		k := min(p.depth, p.k-k0)
		a := p.left.panel(forLeft, ia*p.m+row, k0, m, k)
		for j := 0; j < n; j += p.width {
			w := min(p.width, n-j)
			c := panel{sums.at[j:], n}
			if p.transposed {
				p.inner.dots(c, a, p.right.panel(forRight, ib*p.n+col+j, k0, w, k), m, k, w)
			} else {
				p.inner.rows(c, a, p.right.panel(forRight, ib*p.k+k0, col+j, k, w), m, k, w)
			}
		}
	}
	if p.bias != nil {
		loadFloats(bias, p.bias.DType, p.bias.Data, col)
		scale(bias, p.form.beta)
	}
	for i := range m {
		s, at := sums.row(i, n), (matrix*p.m+row+i)*p.n+col
		scale(s, p.form.alpha)
		if p.bias != nil {
			add(s, bias)
		}
		if p.residual != nil {
			loadFloats(extra, p.residual.DType, p.residual.Data, at)
			add(s, extra)
		}
		storeFloats(p.out.Data, p.out.DType, at, s)
	}
}

// scale multiplies every s.
func scale(s []float32, by float32) {
	if by == 1 {
		return
	}
	for i := range s {
		s[i] *= by
	}
}

// add adds t to s, number by number.
func add(s, t []float32) {
	t = t[:len(s)]
	for i := range s {
		s[i] += t[i]
	}
}
