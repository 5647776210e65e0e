package simd

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

// levels runs a benchmark at every level that has assembly.
func levels(b *testing.B, run func(b *testing.B, l *Level)) {
	for _, l := range Levels() {
		if l.lanes > 0 {
			b.Run(l.String(), func(b *testing.B) { run(b, l) })
		}
	}
}

// rate reports operations and bytes of one call, in thousands of millions a second.
func rate(b *testing.B, operations, bytes int) {
	ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	if operations > 0 {
		b.ReportMetric(float64(operations)/ns, "Gop/s")
	}
	if bytes > 0 {
		b.ReportMetric(float64(bytes)/ns, "GB/s")
	}
}

// filled returns numbers that have memory of their own, which zeros have not.
func filled[T uint8 | int8 | uint16 | float32](n int) []T {
	v := make([]T, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// The processor's peak, nearly: a tile whose factors stay in the first cache.
func BenchmarkTile(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		const k = 256
		r := rand.New(rand.NewPCG(1, 2))
		a, w := Panel[float32]{numbers(r, l.tileRows*(k+16)), k + 16}, Panel[float32]{numbers(r, k*l.tileCols), l.tileCols}
		c := Panel[float32]{make([]float32, l.tileRows*l.tileCols), l.tileCols}
		for b.Loop() {
			l.Rows(c, a, w, l.tileRows, k, l.tileCols)
		}
		rate(b, 2*k*l.tileRows*l.tileCols, 0)
	})
}

// The same of bfloat16: a pair of numbers is one of float32.
func BenchmarkRowsBF16(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		if !l.MultipliesBF16() {
			return
		}
		const m, k, n = 240, 256, 256
		a, w := Panel[float32]{filled[float32](m * (k + 16)), k + 16}, Panel[float32]{filled[float32](k * (n + 16)), n + 16}
		c := Panel[float32]{make([]float32, m*n), n}
		for b.Loop() {
			l.RowsBF16(c, a, w, m, k, n)
		}
		rate(b, 4*m*k*n, 0)
	})
}

// What memory gives: the sum of numbers that no cache holds.
func BenchmarkRead(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		x := filled[float32](64 << 20)
		for b.Loop() {
			l.Sum(x)
		}
		rate(b, 0, 4*len(x))
	})
}

func BenchmarkRows(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		const m, k, n = 240, 256, 256
		r := rand.New(rand.NewPCG(1, 2))
		a, w := Panel[float32]{numbers(r, m*(k+16)), k + 16}, Panel[float32]{numbers(r, k*(n+16)), n + 16}
		c := Panel[float32]{make([]float32, m*n), n}
		for b.Loop() {
			l.Rows(c, a, w, m, k, n)
		}
		rate(b, 2*m*k*n, 0)
	})
}

func BenchmarkDots(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		for _, m := range []int{1, 2, 4} {
			for _, half := range []bool{false, true} {
				b.Run(fmt.Sprintf("%d/half=%v", m, half), func(b *testing.B) {
					const k, n = 2048, 32 << 10
					r := rand.New(rand.NewPCG(1, 2))
					a, c := Panel[float32]{numbers(r, m*k), k}, Panel[float32]{make([]float32, m*n), n}
					w, h := Panel[float32]{filled[float32](k * n / 2), k}, Panel[uint16]{filled[uint16](k * n), k}
					for b.Loop() {
						if half {
							l.DotsF16(c, a, h, m, k, n)
						} else {
							l.Dots(c, a, w, m, k, n/2)
						}
					}
					rate(b, 2*m*k*len(w.At)/k, 2*k*n)
				})
			}
		}
	})
}

func BenchmarkBlocks(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		for _, bits := range []int{4, 8} {
			for _, m := range []int{1, 2, 4} {
				b.Run(fmt.Sprintf("%d bits/%d", bits, m), func(b *testing.B) {
					const blocks, n = 64, 512
					r := rand.New(rand.NewPCG(1, 2))
					w := &Blocks{Bits: bits, Scales: Panel[float32]{filled[float32](blocks * n), blocks}}
					w.Data = Panel[uint8]{filled[uint8](n * blocks * w.bytes()), blocks * w.bytes()}
					a, c := Panel[float32]{numbers(r, m*blocks*Block), blocks * Block}, Panel[float32]{make([]float32, m*n), n}
					l.Spread(a, bits, m, blocks)
					for b.Loop() {
						l.DotsBlocks(c, a, w, m, blocks, n)
					}
					rate(b, 2*m*blocks*Block*n, len(w.Data.At)+4*len(w.Scales.At))
				})
			}
		}
	})
}

func BenchmarkDotsQuantised(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		for _, bits := range []int{4, 8} {
			for _, m := range []int{1, 4} {
				b.Run(fmt.Sprintf("%d bits/%d", bits, m), func(b *testing.B) {
					const blocks, n = 64, 512
					r := rand.New(rand.NewPCG(1, 2))
					w := &Blocks{Bits: bits, Scales: Panel[float32]{filled[float32](blocks * n), blocks}}
					w.Data = Panel[uint8]{filled[uint8](n * blocks * w.bytes()), blocks * w.bytes()}
					records := DotRecords(bits, blocks)
					a, x, c := numbers(r, blocks*Block), make([]uint8, m*records), Panel[float32]{make([]float32, m*n), n}
					for i := range m {
						l.QuantiseDots(x[i*records:], a, bits, blocks)
					}
					for b.Loop() {
						l.DotsQuantised(c, Panel[uint8]{x, records}, w, m, blocks, n)
					}
					rate(b, 2*m*blocks*Block*n, len(w.Data.At)+4*len(w.Scales.At))
				})
			}
		}
	})
}

// A matrix of the decoders' shapes that no cache holds, read once, with scales of float16
// or of 8 bits.
func BenchmarkDotsQuantisedFromMemory(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		for _, blocks := range []int{28, 152, 344} {
			for _, bits := range []int{16, 8} {
				b.Run(fmt.Sprintf("%d/scales%d", blocks*Block, bits), func(b *testing.B) {
					const size = 256 << 20
					w := &Blocks{Bits: 4}
					n := size / (16 * blocks)
					w.Data = Panel[uint8]{filled[uint8](n * 16 * blocks), 16 * blocks}
					if bits == 16 {
						w.Halves = Panel[uint16]{filled[uint16](n * blocks), blocks}
					} else {
						w.Codes, w.Factor = Panel[int8]{filled[int8](n * blocks), blocks}, filled[float32](n)
					}
					a, x, c := filled[float32](blocks*Block), make([]uint8, DotRecords(4, blocks)), make([]float32, n)
					l.QuantiseDots(x, a, 4, blocks)
					for b.Loop() {
						l.DotsQuantised(Panel[float32]{c, n}, Panel[uint8]{x, len(x)}, w, 1, blocks, n)
					}
					rate(b, 2*blocks*Block*n, len(w.Data.At)+n*blocks*bits/8)
				})
			}
		}
	})
}

func BenchmarkTileQuantised(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		const blocks, m = 64, 120
		r := rand.New(rand.NewPCG(1, 2))
		cols, records := l.QuantisedCols(4), TileRecords(blocks)
		w := &Blocks{Bits: 4, Scales: Panel[float32]{filled[float32](blocks * cols), blocks}}
		w.Data = Panel[uint8]{filled[uint8](cols * blocks * w.bytes()), blocks * w.bytes()}
		a, x, c := numbers(r, blocks*Block), make([]uint8, m*records), Panel[float32]{make([]float32, m*cols), cols}
		packed := make([]uint8, l.PanelBytes(blocks))
		b.Run("quantise", func(b *testing.B) {
			for b.Loop() {
				for i := range m {
					l.QuantiseTiles(x[i*records:], a, 4, blocks)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(m*len(a)), "ns/element")
		})
		b.Run("pack", func(b *testing.B) {
			for b.Loop() {
				l.Pack(packed, w, blocks, cols)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(cols*len(a)), "ns/element")
		})
		b.Run("tile", func(b *testing.B) {
			for b.Loop() {
				l.TileQuantised(c, Panel[uint8]{x, records}, packed, m, blocks, Soon{})
			}
			rate(b, 2*m*blocks*Block*cols, 0)
		})
	})
}

func BenchmarkStream(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		for _, m := range []int{1, 2, 4, 8} {
			b.Run(strconv.Itoa(m), func(b *testing.B) {
				const k, n = 4096, 11008
				r := rand.New(rand.NewPCG(1, 2))
				a, c := Panel[float32]{numbers(r, m*k), k}, Panel[float32]{make([]float32, m*256), 256}
				h := Panel[uint16]{filled[uint16](k * n), n}
				for b.Loop() {
					for j := 0; j < n; j += 256 {
						l.StreamF16(c, a, h.From(0, j), m, k, 256)
					}
				}
				rate(b, 2*m*k*n, 2*k*n)
			})
		}
	})
}

func BenchmarkTranspose(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		const m, n = 32, 256
		r := rand.New(rand.NewPCG(1, 2))
		src, dst := Panel[float32]{numbers(r, m*2048), 2048}, Panel[float32]{make([]float32, m*n), m}
		for b.Loop() {
			l.Transpose(dst, src, m, n)
		}
		rate(b, 0, 4*m*n)
	})
}

func BenchmarkElementwise(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		r := rand.New(rand.NewPCG(1, 2))
		x, y, z := numbers(r, 1024), numbers(r, 1024), make([]float32, 1024)
		h := make([]uint16, 1024)
		for _, f := range []struct {
			name string
			do   func()
		}{
			{"Add", func() { l.Add(z, x, y) }},
			{"SwishMul", func() { l.SwishMul(z, x, y, 1) }},
			{"ExpShifted", func() { copy(z, x); l.ExpShifted(z, 1) }},
			{"SumSquares", func() { l.SumSquares(x) }},
			{"WidenF16", func() { l.WidenF16(z, h) }},
			{"NarrowF16", func() { l.NarrowF16(h, x) }},
		} {
			b.Run(f.name, func(b *testing.B) {
				for b.Loop() {
					f.do()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/element")
			})
		}
	})
}
