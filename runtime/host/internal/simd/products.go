package simd

// Rows adds the product of m rows of a, k numbers each, and k rows of w, n numbers
// each, to c.
func (l *Level) Rows(c, a, w Panel[float32], m, k, n int) {
	if l.lanes == 0 {
		if m > 0 && k > 0 && n > 0 {
			addRows(c, a, w, m, k, n)
		}
		return
	}
	tiles(l, l.tile, l.axpyF32, c, a, w, m, k, n)
}

// RowsOfF16 is Rows with float16 numbers w.
func (l *Level) RowsOfF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	tiles(l, l.tileHalfF16, l.axpyF16, c, a, w, m, k, n)
}

// RowsOfBF16 is Rows with bfloat16 numbers w.
func (l *Level) RowsOfBF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	tiles(l, l.tileHalfBF16, l.axpyBF16, c, a, w, m, k, n)
}

// RowsOfI8 is Rows with codes w.
func (l *Level) RowsOfI8(c, a Panel[float32], w Panel[int8], m, k, n int) {
	tiles(l, l.tileI8, l.axpyI8, c, a, w, m, k, n)
}

func tiles[T any](l *Level, tile, axpy rowsTimes[T], c, a Panel[float32], w Panel[T], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	c.holds(m, n)
	a.holds(m, k)
	w.holds(k, n)
	whole := n
	if l.lanes == 8 {
		whole = n &^ 7
	}
	for j := 0; j < whole; j += l.tileCols {
		wide := min(l.tileCols, whole-j)
		for i := 0; i < m; i += l.tileRows {
			tile(&c.At[i*c.Stride+j], c.Stride, &a.At[i*a.Stride], a.Stride, &w.At[j], w.Stride, min(l.tileRows, m-i), wide, k)
		}
	}
	if whole < n { // columns that are no whole vector, where tile has no masks
		stream(axpy, c.From(0, whole), a, w.From(0, whole), m, k, n-whole)
	}
}

// Dots adds the product of m rows of a and n rows of w, all of k numbers, to c. Its
// bits depend on where k is cut.
func (l *Level) Dots(c, a, w Panel[float32], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	if l.lanes == 0 {
		addDots(c, a, w, m, k, n)
		return
	}
	dots(l.dotF32, c, a, w, m, k, n)
}

// DotsF16 is Dots with float16 numbers w.
func (l *Level) DotsF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	dots(l.dotF16, c, a, w, m, k, n)
}

// DotsBF16 is Dots with bfloat16 numbers w.
func (l *Level) DotsBF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	dots(l.dotBF16, c, a, w, m, k, n)
}

func dots[T any](f rowsTimes[T], c, a Panel[float32], w Panel[T], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	w.holds(n, k)
	inFours(f, c, a, w, m, k, n)
}

// rowsTimes is a function in assembly that adds to c the products of 1, 2 or 4 rows of a,
// k numbers each, with n columns of w, however that is stored.
type rowsTimes[T any] func(c *float32, ldc int, a *float32, lda int, w *T, ldw, m, n, k int)

// inFours has f do m rows.
func inFours[T any](f rowsTimes[T], c, a Panel[float32], w Panel[T], m, k, n int) {
	c.holds(m, n)
	a.holds(m, k)
	for i := 0; i < m; {
		some := together(m - i)
		f(&c.At[i*c.Stride], c.Stride, &a.At[i*a.Stride], a.Stride, &w.At[0], w.Stride, some, n, k)
		i += some
	}
}

// Stream is Rows for few rows, in the order in which w lies in memory. Its bits are
// those of Rows.
func (l *Level) Stream(c, a, w Panel[float32], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	if l.lanes == 0 {
		addRows(c, a, w, m, k, n)
		return
	}
	stream(l.axpyF32, c, a, w, m, k, n)
}

// StreamF16 is Stream with float16 numbers w.
func (l *Level) StreamF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	stream(l.axpyF16, c, a, w, m, k, n)
}

// StreamBF16 is Stream with bfloat16 numbers w.
func (l *Level) StreamBF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	stream(l.axpyBF16, c, a, w, m, k, n)
}

func stream[T any](f rowsTimes[T], c, a Panel[float32], w Panel[T], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	w.holds(k, n)
	inFours(f, c, a, w, m, k, n)
}

// ReadsHalves tells whether Stream, Rows and Dots have forms that read numbers of 16 bits,
// and Rows and Dots of codes of 8.
func (l *Level) ReadsHalves() bool { return l.lanes > 0 }

// TileCols is how many columns Rows takes at once. Packed in strips of so many, a
// right side is read in order.
func (l *Level) TileCols() int { return max(32, l.tileCols) }

// Transpose stores n columns of m rows of src as rows of dst.
func (l *Level) Transpose(dst, src Panel[float32], m, n int) {
	if m == 0 || n == 0 {
		return
	}
	dst.holds(n, m)
	src.holds(m, n)
	rows, cols := 0, 0
	if l.lanes > 0 && m >= l.lanes && n >= l.lanes {
		cols = n - n%l.lanes
		for ; rows+l.lanes <= m; rows += l.lanes {
			l.transpose(&dst.At[rows], dst.Stride, &src.At[rows*src.Stride], src.Stride, cols)
		}
	}
	for i := range m {
		from := 0
		if i < rows {
			from = cols
		}
		for j, v := range src.Row(i, n)[from:] {
			dst.At[(from+j)*dst.Stride+i] = v
		}
	}
}
