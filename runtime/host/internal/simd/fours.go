package simd

// Products of bytes are summed in int32, which wraps as C does: signed bytes of the left
// side, unsigned ones of the right, four along k at a time. A four is kept as one uint32,
// its first byte lowest.

// FourCols is how many columns a right side of fours has.
const FourCols = 32

// PackFours stores k rows of n bytes, n being FourCols at most, as rows of fours, all bytes
// exclusive or flip; what is missing of the last four, and columns, are zeros.
func (l *Level) PackFours(dst []uint32, w Panel[uint8], flip uint8, k, n int) {
	if k == 0 || n == 0 {
		return
	}
	w.holds(k, n)
	dst = dst[:(k+3)/4*FourCols]
	all := uint32(flip) * 0x01010101
	done, whole := 0, 0 // columns, fours
	if l.packFours != nil && k >= 4 {
		done, whole = n&^15, k/4
		for j := 0; j < done; j += 16 {
			l.packFours(&dst[j], FourCols, &w.At[j], w.Stride, all, whole)
		}
	}
	if done == FourCols && whole*4 == k {
		return
	}
	for q := range len(dst) / FourCols {
		row, from := dst[q*FourCols:][:FourCols], done
		if q >= whole {
			from = 0
		}
		clear(row[from:])
		for i := 4 * q; i < min(4*q+4, k); i++ {
			for j, b := range w.Row(i, n)[from:] {
				row[from+j] |= uint32(b^flip) << (8 * (i % 4))
			}
		}
	}
}

// AddFours adds the product of m rows x of k fours of bytes and k rows w of FourCols fours
// to c.
func (l *Level) AddFours(c Panel[int32], x Panel[uint8], w []uint32, m, k int) {
	if m == 0 || k == 0 {
		return
	}
	c.holds(m, FourCols)
	x.holds(m, 4*k)
	_ = w[k*FourCols-1]
	switch {
	case l.tiles && m >= tileSide:
		foursAMX(c, x, w, m, k)
	case l.tileFours != nil:
		for i := 0; i < m; i += l.tileRows {
			l.tileFours(&c.At[i*c.Stride], c.Stride, &x.At[i*x.Stride], x.Stride, &w[0], FourCols, min(l.tileRows, m-i), k)
		}
	default:
		for i := range m {
			row, sums := x.Row(i, 4*k), c.Row(i, FourCols)
			for q := range k {
				a := (*[4]uint8)(row[4*q:])
				a0, a1, a2, a3 := int32(int8(a[0])), int32(int8(a[1])), int32(int8(a[2])), int32(int8(a[3]))
				for j, v := range w[q*FourCols:][:FourCols] {
					sums[j] += a0*int32(uint8(v)) + a1*int32(uint8(v>>8)) + a2*int32(uint8(v>>16)) + a3*int32(uint8(v>>24))
				}
			}
		}
	}
}

// foursAMX is AddFours on tiles.
func foursAMX(c Panel[int32], x Panel[uint8], w []uint32, m, k int) {
	onTiles(m, k, FourCols, func(i, p, steps, blocks, shape int, config tiling) {
		tilesBytesAMX(&c.At[i*c.Stride], 4*c.Stride, &x.At[i*x.Stride+4*p], x.Stride, &w[p*FourCols], 4*FourCols, 4*tileSide*FourCols,
			steps, blocks, shape, &config[0])
	})
}
