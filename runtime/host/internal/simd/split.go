package simd

import (
	"math"

	"mnnconv/graph"
)

// Parts is one side of a product whose numbers each are the sum of Count of bfloat16: three
// have all bits of float32, two those of a number of sixteen. It lies as tiles are read: 16
// rows of the left side, or 16 columns of the right one, by a step of 32 numbers of k are as
// many tiles as there are parts, one behind the other; steps follow each other, and then the
// next 16. A line of a tile is 16 pairs of neighbours along k: those of one row, or one of
// each column.
type Parts struct {
	At           []float32
	Count, Steps int
}

const (
	// PartsStep is how many numbers of k a step has.
	PartsStep = 2 * tileSide
	// PartsBlock is how many rows or columns are multiplied at once: there is room for
	// whole blocks.
	PartsBlock = 2 * tileSide

	// PartsBand is how many rows or columns a tile has, and so those that lie together.
	PartsBand = tileSide

	// PartsTile is how many numbers a part of a step has in memory.
	PartsTile = tileSide * tileSide

	mostParts = 3
)

// PartsSize returns how many numbers hold n rows or columns of k numbers.
func PartsSize(n, k, count int) int {
	return (n + PartsBlock - 1) / PartsBlock * 2 * ((k + PartsStep - 1) / PartsStep) * count * PartsTile
}

// band is how many numbers apart one of 16 rows or columns and the next are.
func (m Parts) band() int { return m.Steps * m.Count * PartsTile }

// From returns m from row or column i on, which starts a block, and from a step on.
func (m Parts) From(i, step int) Parts {
	return Parts{m.At[i/tileSide*m.band()+step*m.Count*PartsTile:], m.Count, m.Steps}
}

// line returns a line of the tile of a part.
func (m Parts) line(band, step, part, i int) []float32 {
	return m.At[band*m.band()+(step*m.Count+part)*PartsTile+i*tileSide:][:tileSide]
}

// Split stores x, which is whole steps, as row i of the left side. What is no finite number,
// or is none as bfloat16, has parts of which some is none.
func (l *Level) Split(m Parts, i int, x []float32) {
	steps := len(x) / PartsStep
	if steps == 0 {
		return
	}
	if band := i / tileSide; l.splitRow != nil {
		_ = m.line(band, steps-1, m.Count-1, i%tileSide)
		l.splitRow(&m.line(band, 0, 0, i%tileSide)[0], &x[0], steps, m.Count)
		return
	}
	for step := range steps {
		for j := range tileSide {
			at := step*PartsStep + 2*j
			m.pair(i/tileSide, step, i%tileSide, j, x[at], x[at+1])
		}
	}
}

// pair stores the parts of two neighbours.
func (m Parts) pair(band, step, i, j int, low, high float32) {
	a, b := parts(low), parts(high)
	for p := range m.Count {
		m.line(band, step, p, i)[j] = math.Float32frombits(a[p]>>16 | b[p])
	}
}

// Clear makes the pairs of n columns zeros from pair q of k on, up to a whole step.
func (m Parts) Clear(q, n int) {
	for ; q%tileSide != 0; q++ {
		for j := 0; j < n; j += tileSide {
			for p := range m.Count {
				clear(m.line(j/tileSide, q/tileSide, p, q%tileSide))
			}
		}
	}
}

// Round stores x, which is whole steps, as row i of the left side: rounded to one part, ties
// to even.
func (l *Level) Round(m Parts, i int, x []float32) {
	band, line, steps := i/tileSide, i%tileSide, len(x)/PartsStep
	if steps == 0 {
		return
	}
	if l.roundRow != nil {
		_ = m.line(band, steps-1, 0, line)
		l.roundRow(&m.line(band, 0, 0, line)[0], &x[0], steps)
		return
	}
	for j := range len(x) / 2 {
		pair := uint32(graph.F32ToBF16(x[2*j])) | uint32(graph.F32ToBF16(x[2*j+1]))<<16
		m.line(band, j/tileSide, 0, line)[j%tileSide] = math.Float32frombits(pair)
	}
}

// SplitPairs stores two rows of the right side, numbers 2q and 2q+1 of k, from the first
// column on; high may be nothing, for zeros. Numbers of both that lie so many further on
// are asked for meanwhile.
func (l *Level) SplitPairs(m Parts, q int, low, high []float32, ahead int) {
	splitPairs(m, q, low, high, 4*ahead, l.splitPairsF32, func(x float32) float32 { return x })
}

// SplitPairsF16 is SplitPairs of float16 numbers.
func (l *Level) SplitPairsF16(m Parts, q int, low, high []uint16, ahead int) {
	splitPairs(m, q, low, high, 2*ahead, l.splitPairsF16, graph.F16ToF32)
}

// SplitPairsBF16 is SplitPairs of bfloat16 numbers.
func (l *Level) SplitPairsBF16(m Parts, q int, low, high []uint16, ahead int) {
	splitPairs(m, q, low, high, 2*ahead, l.splitPairsBF16, graph.BF16ToF32)
}

func splitPairs[T float32 | uint16](m Parts, q int, low, high []T, ahead int, split func(d *float32, band int, low, high *T, n, count, ahead int), widen func(T) float32) {
	if len(low) == 0 {
		return
	}
	step, i, last := q/tileSide, q%tileSide, (len(low)-1)/tileSide
	if high != nil && split != nil {
		_, _ = m.line(last, step, m.Count-1, i), high[len(low)-1]
		split(&m.line(0, step, 0, i)[0], 4*m.band(), &low[0], &high[0], len(low), m.Count, ahead)
		return
	}
	for j := range (last + 1) * tileSide {
		var a, b float32
		if j < len(low) {
			if a = widen(low[j]); high != nil {
				b = widen(high[j])
			}
		}
		m.pair(j/tileSide, step, i, j%tileSide, a, b)
	}
}

// Band returns the tiles of a right side of one part from column j on, which starts a band:
// a row for each two numbers of k.
func (m Parts) Band(j int) Panel[float32] {
	return Panel[float32]{m.At[j/PartsBand*m.band():], PartsBand}
}

// parts returns the bits of the parts of x.
func parts(x float32) (h [3]uint32) {
	const half, mask = 0x8000, 0xffff0000
	for i := range 2 {
		h[i] = (math.Float32bits(x) + half) & mask
		x -= math.Float32frombits(h[i])
	}
	h[2] = math.Float32bits(x) & mask
	return h
}

// HasTiles tells whether there are tiles, which multiply bfloat16 numbers many times as fast
// as float32 ones are.
func (l *Level) HasTiles() bool { return l.tiles }

// RowsParts adds the product of m rows of a and 32 columns of w, so many steps deep, to c,
// which has room for whole blocks of rows. The products of parts that matter beside
// float32's rounding are summed, the small ones of a step first. Of what lies like a from soon
// on some is asked for meanwhile: in a dozen calls as much as is read in one.
// There are such sums where HasTiles says so.
func (l *Level) RowsParts(c Panel[float32], a, w Parts, m, steps int, soon []float32) {
	if m == 0 || steps == 0 {
		return
	}
	blocks := (m + PartsBlock - 1) / PartsBlock
	c.holds(blocks*PartsBlock, PartsBlock)
	_, _ = a.line(2*blocks-1, steps-1, a.Count-1, tileSide-1), w.line(1, steps-1, w.Count-1, tileSide-1)
	call := func(i, blocks, rows int) {
		config, _ := tileConfig(rows, PartsBlock, tileSide)
		partsAMX(&c.At[i*c.Stride], 4*c.Stride, &a.At[i/tileSide*a.band()], 4*a.band(), &w.At[0], 4*w.band(), steps, blocks,
			mostParts*(a.Count-1)+w.Count-1, &config[0], &soon[0])
	}
	if whole := m / PartsBlock; whole > 0 {
		call(0, whole, PartsBlock)
	}
	if rest := m % PartsBlock; rest > 0 { // at least a row of each tile
		call(m-rest, 1, max(rest, tileSide+1))
	}
}
