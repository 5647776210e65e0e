package quantize

import "fmt"

// tile is the scratch of one worker.
type tile struct {
	j      *job
	coding // with the factor of the row
	reader
	w      []float32 // [rows][stride]
	q, try []uint8
	grids  []grid    // of the row
	was    []float32 // the row before gptq
	errors []float32 // of gptq, of a block
	stride int
	// Of the blocks of a row, where they are rounded.
	least, most, scales, inverses, zeros []float32
	columns                              int // at a time
}

func newTile(j *job) *tile {
	rows, cols := j.tileSize()
	t := &tile{j: j, coding: j.coding, reader: reader{loops: j.loops}, columns: cols}
	if j.method == GPTQ {
		t.was, t.errors = make([]float32, cols), make([]float32, j.block)
	}
	t.stride = t.columns + 16 // not a power of two: rows would share sets of the cache
	t.w = make([]float32, rows*t.stride)
	t.q, t.try = make([]uint8, max(t.columns, j.block)), make([]uint8, j.block)
	blocks := t.columns/j.block + 1
	t.grids = make([]grid, blocks)
	for _, v := range []*[]float32{&t.least, &t.most, &t.scales, &t.inverses, &t.zeros} {
		*v = make([]float32, blocks)
	}
	return t
}

// run makes rows from..from+n of a chunk that starts at row; out holds the chunk.
func (t *tile) run(out []byte, row, from, n int, sum *lossSum) error {
	j := t.j
	for col := 0; col < j.m.cols; col += t.columns {
		cols := min(t.columns, j.m.cols-col)
		t.load(&j.m, t.w, t.stride, row+from, col, n, cols)
		for r := range n {
			w := t.w[r*t.stride:][:cols]
			var codes []byte
			if out != nil {
				codes = out[(from+r)*j.rowBytes():][:j.rowBytes()]
			}
			t.row(codes, w, row+from+r, col, sum)
			if !sum.finite() {
				return fmt.Errorf("%w: %s", ErrValues, j.culprit(row+from+r))
			}
		}
	}
	return nil
}

// row codes the numbers of a row from column col on. Without out they are only
// measured.
func (t *tile) row(out []byte, w []float32, row, col int, sum *lossSum) {
	j := t.j
	sum.power += float64(j.loops.SumSquares(w))
	if t.short {
		t.factor = t.factorOf(w)
		if out != nil {
			j.storeFactor(row, t.factor)
		}
	}
	start := 0
	switch j.method {
	case GPTQ:
		t.propagate(w, sum)
	case Round:
		start = t.round(out, w, row, col, sum)
	}
	for at := start; at < len(w); at += j.block {
		b := w[at:min(at+j.block, len(w))]
		q := t.q[at:][:len(b)]
		g := t.grids[at/j.block]
		if j.method != GPTQ {
			g = t.choose(q, b, sum)
		}
		if out != nil {
			block := (col + at) / j.block
			j.store(row, block, t.coding, g)
			j.pack(out[block*j.block*j.coding.bits/8:], q, g.zero)
		}
	}
}

// round rounds the whole blocks of a row, and returns how many numbers they have.
func (t *tile) round(out []byte, w []float32, row, col int, sum *lossSum) int {
	j, c := t.j, t.coding
	n := len(w) / j.block
	least, most, scales, inverses, zeros := t.least[:n], t.most[:n], t.scales[:n], t.inverses[:n], t.zeros[:n]
	w = w[:n*j.block]
	j.loops.Extremes(least, most, w, j.block)
	for b := range scales {
		scales[b] = c.reach(least[b], most[b])
	}
	if c.short {
		for b, s := range scales {
			scales[b] = c.asStored(s)
		}
	} else {
		j.loops.RoundF16(scales)
	}
	for b, s := range scales {
		inverses[b], zeros[b] = inverse(s), float32(c.zero(s, least[b]))
	}
	sum.count(j.loops.Codes(t.q, w, scales, inverses, zeros, int(c.top), j.block))
	if out == nil {
		return len(w)
	}
	first := col / j.block
	j.storeScales(row, first, c, scales)
	if j.zeros != nil {
		for b, z := range zeros {
			j.storeZero(row, first+b, uint8(z))
		}
	}
	out = out[col*c.bits/8:]
	if c.bits == 8 {
		copy(out, t.q[:len(w)])
	} else {
		j.loops.Nibbles(out[:len(w)/2], t.q)
	}
	return len(w)
}

// choose chooses grid and codes of a block, by itself.
func (t *tile) choose(q []uint8, w []float32, sum *lossSum) grid {
	c := t.coding
	if t.j.method == Round {
		g := c.round(w)
		sum.count(c.codes(q, w, g))
		return g
	}
	g := c.refine(q, w, nil, t.try)
	sum.count(loss(q, w, nil, g))
	return g
}
