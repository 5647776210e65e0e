package quantize

// Loops are the innermost loops of rounding, which a host has in the instructions of
// its processor. Blocks are multiples of 16 numbers; bits do not depend on the
// processor.
type Loops interface {
	// WidenF16 and WidenBF16 store 16-bit floats as float32.
	WidenF16(dst []float32, src []uint16)
	WidenBF16(dst []float32, src []uint16)
	// NarrowF16 rounds numbers to float16, ties to even, and RoundF16 to float32 that
	// float16 holds.
	NarrowF16(dst []uint16, src []float32)
	RoundF16(v []float32)
	// SumSquares returns the sum of x².
	SumSquares(x []float32) float32
	// Turn stores n columns of m rows of src as rows of dst; rows are ldd and lds
	// numbers apart.
	Turn(dst []float32, ldd int, src []float32, lds, m, n int)
	// Extremes stores the least and the greatest number of each block, at most and at
	// least 0.
	Extremes(least, most, w []float32, block int)
	// Codes stores the code of each number, of 0 to top, that is nearest on the grid
	// of its block, and returns the sum of the squared errors and the largest error.
	Codes(q []uint8, w, scale, inverse, zero []float32, top, block int) (sum, largest float32)
	// Nibbles stores pairs of codes of 4 bits as bytes, the first of a pair in the
	// low half.
	Nibbles(dst, q []uint8)
}
