package host

// pieces computes products of a few rows and weights stored k×n in the order in which
// these lie in memory: pieces of k, whole rows of weights, are summed by themselves,
// and each product adds its pieces up, in their order. How many pieces there are
// follows from k and n alone, so that bits depend neither on the processors nor on the rows.
type pieces struct {
	products []product
	grains   []pieceGrain // of each product
	parts    int
}

// pieceGrain is how the pieces of a product are computed.
type pieceGrain struct {
	cols, stripes, depth, stride, scratch int
	end                                   int // of its parts
}

const (
	manyPieces = 8
	pieceLeast = 32 << 10  // numbers of weights in a piece
	pieceSums  = 8 << 10   // that stay in the first cache while rows of weights pass by
	pieceBlock = 128 << 10 // numbers of weights that groups of rows pass by, in the second cache
	joinWhole  = 16 << 10  // numbers that one processor adds sooner than two agree
	// pieceTogether is how many numbers of weights stay in the second caches of two
	// processors, where stripes of columns are read as fast as whole rows.
	pieceTogether = 1 << 20
)

// cutPieces says how many pieces a product has, and how many numbers of k are in one.
func cutPieces(k, n int) (count, deep int) {
	count = 1
	for count < manyPieces && k*n >= 2*count*pieceLeast {
		count *= 2
	}
	if count == 1 {
		return 1, k
	}
	deep = (ceil(k, count) + 7) &^ 7 // as many as are read at once
	return ceil(k, deep), deep
}

// partials is how many numbers the sums of pieces are that are tasks of their own.
func (p *product) partials() int {
	if !p.apart {
		return 0
	}
	return p.pieces * p.m * p.n
}

// run computes the pieces of all products whose pieces are tasks of their own.
func (s *pieces) run(c *Call, products []product) error {
	s.products, s.parts = products, 0
	if len(s.grains) != len(products) {
		s.grains = make([]pieceGrain, len(products))
	}
	for i := range products {
		p, g := &products[i], &s.grains[i]
		if p.apart {
			stripes := max(ceil(p.n*min(p.m, 4), pieceSums), ceil(2*c.Pool.Workers(), p.pieces))
			g.cols = min((ceil(p.n, stripes)+31)&^31, p.n)
			g.stripes = ceil(p.n, g.cols)
			g.depth = min(p.deep, max(8, pieceBlock/g.cols&^7))
			g.stride = g.depth + pad
			g.scratch = p.m*g.stride + g.depth*g.cols
			s.parts += p.pieces * g.stripes
		}
		g.end = s.parts
	}
	return c.Run(s.parts, s)
}

// Part implements [Parts].
func (s *pieces) Part(w *Worker, i int) {
	j, from := 0, 0
	for i >= s.grains[j].end {
		from = s.grains[j].end
		j++
	}
	p, g := &s.products[j], &s.grains[j]
	scratch := w.Floats(g.scratch)
	piece, col := (i-from)/g.stripes, (i-from)%g.stripes*g.cols
	n := min(g.cols, p.n-col)
	sums := panelOf(p.partial[piece*p.m*p.n+col:(piece+1)*p.m*p.n], p.n)
	a := panelOf(scratch[:p.m*g.stride], g.stride)
	for r := range p.m {
		clear(sums.Row(r, n))
	}
	for k0, end := piece*p.deep, min((piece+1)*p.deep, p.k); k0 < end; k0 += g.depth {
		k := min(g.depth, end-k0)
		for r := range p.m {
			loadFloats(a.Row(r, k), p.left.dtype, p.left.data, r*p.k+k0)
		}
		p.right.stream(sums, a, scratch[len(a.At):], k0, col, p.m, k, n)
	}
}

// addPieces computes the pieces of a task's columns, and adds each to those before.
func (p *product) addPieces(sums panel, scratch []float32, t task) {
	a, scratch := panelOf(scratch[:t.m*p.stride], p.stride), scratch[t.m*p.stride:]
	piece, scratch := panelOf(scratch[:t.m*t.n], t.n), scratch[t.m*t.n:]
	for from := 0; from < p.k; from += p.deep {
		clear(piece.At)
		for k0, end := from, min(from+p.deep, p.k); k0 < end; k0 += p.depth {
			k := min(p.depth, end-k0)
			for i := range t.m {
				loadFloats(a.Row(i, k), p.left.dtype, p.left.data, i*p.k+k0)
			}
			p.right.tiles(piece, a, scratch, k0, t.col, t.m, k, t.n)
		}
		for i := range t.m {
			add(sums.Row(i, t.n), piece.Row(i, t.n))
		}
	}
}

// join adds the pieces of a task.
func (p *product) join(sums panel, t task) {
	for i := range t.m {
		s := sums.Row(i, t.n)
		for piece := range p.pieces {
			add(s, p.partial[(piece*p.m+t.row+i)*p.n+t.col:])
		}
	}
}
