// Package simd holds the innermost loops of the host's kernels, for each level of
// vector instructions that a processor may have, and in plain Go for all others.
//
// What works number by number (conversions, exp, sums of two rows) and the sums
// of one row give the same bits at every level. Sums of products are fused where
// the processor can: their bits are those of the level, and depend on the factors
// alone, never on how many rows or columns travel together.
package simd

//go:generate sh -c "cd gen && go run . .."

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Level is a set of vector instructions, with the loops written for it.
type Level struct {
	name string
	// lanes is how many numbers a vector holds; 0: no assembly.
	lanes int
	// tileRows×tileCols is the most that tile takes; tileCols is two vectors.
	tileRows, tileCols int
	// quantisedRows is the most that tileQuantised takes.
	quantisedRows int
	tiles         bool // of bfloat16, by partsAMX
	asm
}

// asm are the functions of a level in assembly. Those that do not say more take
// whole vectors.
type asm struct {
	tileBF16                            func(c *float32, ldc int, a *float32, lda int, b *float32, ldb, m, n, k int) // nil where the processor has none
	splitRow                            func(d, x *float32, steps, count int)
	splitPairsF32                       func(d *float32, band int, low, high *float32, n, count, ahead int)
	splitPairsF16, splitPairsBF16       func(d *float32, band int, low, high *uint16, n, count, ahead int)
	roundRow                            func(d, x *float32, steps int) // nil like splitRow where there are no tiles
	interleave                          func(dst *float32, low, high *uint16, n int)
	tile                                func(c *float32, ldc int, a *float32, lda int, b *float32, ldb, m, n, k int)
	tileI8                              func(c *float32, ldc int, a *float32, lda int, b *int8, ldb, m, n, k int)
	digits                              func(dst, x *float32, by, unit float32)                       // nil where the processor has no products of integers
	dotDigits                           func(c *float32, ldc int, d *float32, w *int8, ldw, m, n int) // likewise
	dotI8, axpyI8                       func(c *float32, ldc int, a *float32, lda int, w *int8, ldw, m, n, k int)
	widenI8                             func(dst *float32, src *int8, n int)
	narrowI8                            func(dst *int8, src *float32, by float32, n int)
	tileHalfF16, tileHalfBF16           func(c *float32, ldc int, a *float32, lda int, b *uint16, ldb, m, n, k int)
	dotF32                              func(c *float32, ldc int, a *float32, lda int, w *float32, ldw, m, n, k int)
	dotF16, dotBF16                     func(c *float32, ldc int, a *float32, lda int, w *uint16, ldw, m, n, k int)
	axpyF32                             func(c *float32, ldc int, a *float32, lda int, w *float32, ldw, m, n, k int)
	axpyF16, axpyBF16                   func(c *float32, ldc int, a *float32, lda int, w *uint16, ldw, m, n, k int)
	transpose                           func(dst *float32, ldd int, src *float32, lds, n int)
	widenF16, widenBF16                 func(dst *float32, src *uint16, n int)
	narrowF16, narrowBF16               func(dst *uint16, src *float32, n int)
	roundF16                            func(v *float32, n int)
	add, sub, mul, div                  func(z, x, y *float32, n int)
	scale                               func(y, x *float32, by float32, n int)
	turnHalves                          func(y0, y1, x0, x1, cos, sin *float32, n int)
	expShifted                          func(s *float32, shift float32, n int) int
	swishMul                            func(z, x, y *float32, alpha float32, n int) int
	spread                              func(a *float32, blocks int)
	dequantise4, dequantise8            func(dst *float32, w *uint8, s, z *float32, blocks int)
	dot4, dot8                          func(c *float32, ldc int, a *float32, lda int, w *uint8, ldw int, s *float32, lds, m, n, blocks int)
	dot4Zeros, dot8Zeros                func(c *float32, ldc int, a *float32, lda int, w *uint8, ldw int, s *float32, lds int, z *float32, ldz, m, n, blocks int)
	quantiseDot4, quantiseDot8          func(dst, factors *uint8, x *float32, blocks int)
	quantiseTile4, quantiseTile8        func(dst *uint8, x *float32, blocks int)
	dotQuantised4, dotQuantised8        func(c *float32, ldc int, x, xs *uint8, ldx int, w *uint8, ldw int, s *float32, lds, m, n, blocks int)
	dotQuantised4I8, dotQuantised8I8    func(c *float32, ldc int, x, xs *uint8, ldx int, w *uint8, ldw int, s *int8, lds int, f *float32, m, n, blocks int)
	dotQuantised4F16, dotQuantised8F16  func(c *float32, ldc int, x, xs *uint8, ldx int, w *uint8, ldw int, s *uint16, lds, m, n, blocks int)
	pack4, pack8                        func(dst, w *uint8, ldw int, s *float32, lds int, less uint32, blocks int)
	tileQuantised                       func(c *float32, ldc int, x *uint8, ldx int, w *uint8, m, blocks int)
	packFours                           func(dst *uint32, ldd int, w *uint8, ldw int, flip uint32, n int)
	tileFours                           func(c *int32, ldc int, x *uint8, ldx int, w *uint32, ldw, m, k int)
	blockPairs4, blockPairs8            func(dst *float32, ldd int, w *uint8, ldw int, s, z *float32, blocks int)
	prefetch                            func(w *uint8, ldw, rows, lines int)
	sum, sumSquares, largest, magnitude func(x *float32, start float32, n int) float32
	extremes                            func(least, most, w *float32, block, blocks int)
	codes                               func(q *uint8, w, scale, inverse, zero *float32, top, block, blocks int) (sum, largest float32)
	nibbles                             func(dst, q *uint8, n int)
}

// String returns what [Variable] calls the level.
func (l *Level) String() string { return l.name }

// portable is the level without assembly. Its sums of products round every
// product and take it up in ascending order.
var portable = &Level{name: "go"}

// Variable is the environment variable that names the level to use, so that each
// can be tried on one machine.
const Variable = "MNNCONV_CPU"

// Levels returns those that this processor has, the best one first.
func Levels() []*Level { return append(native(), portable) }

// Best returns the level that the environment names, else the best one of this
// processor; that one too beside an error.
func Best() (*Level, error) { return choose(os.Getenv(Variable), Levels()) }

// choose returns the level of a name among those that there are.
func choose(name string, levels []*Level) (*Level, error) {
	if name == "" {
		return levels[0], nil
	}
	i := slices.IndexFunc(levels, func(l *Level) bool { return l.name == name })
	if i < 0 {
		names := make([]string, len(levels))
		for i, l := range levels {
			names[i] = l.name
		}
		return levels[0], fmt.Errorf("%s=%q: this processor has %s", Variable, name, strings.Join(names, ", "))
	}
	return levels[i], nil
}

// Panel is a matrix that lies in a larger one: rows start Stride numbers apart.
type Panel[T any] struct {
	At     []T
	Stride int
}

// Row returns n numbers of row i.
func (p Panel[T]) Row(i, n int) []T { return p.At[i*p.Stride:][:n] }

// From returns the panel from row i and column j on.
func (p Panel[T]) From(i, j int) Panel[T] { return Panel[T]{p.At[i*p.Stride+j:], p.Stride} }

// holds panics unless a panel has all of rows×cols numbers: assembly does not look.
func (p Panel[T]) holds(rows, cols int) { _ = p.At[(rows-1)*p.Stride+cols-1] }
