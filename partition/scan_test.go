package partition

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
)

// TestScan puts odd values at every place of tensors of every length and width, and
// numbers at the very limit, which are none.
func TestScan(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, d := range []graph.DType{graph.Float32, graph.Float64, graph.Float16, graph.BFloat16} {
		for _, most := range []float64{d.Largest(), 1000, 65504} {
			under, over := neighbours(t, d, most)
			for n := range 70 {
				x, err := graph.NewTensor(d, int64(n))
				if err != nil {
					t.Fatal(err)
				}
				set(t, x, fill(n, under))
				if o := Scan(x, most); o.Any() {
					t.Fatalf("%s, %d of %v: %s", d, n, under, o)
				}
				for i := range n {
					for _, odd := range []float64{nan, inf, -inf, over, -over} {
						v := fill(n, -under)
						v[i] = odd
						set(t, x, v)
						o := Scan(x, most)
						if o.NaN+o.Inf+o.Over != 1 || o.First != i || o.Of != n || math.IsNaN(odd) != (o.NaN == 1) || math.IsInf(odd, 0) != (o.Inf == 1) {
							t.Fatalf("%s, %v at %d of %d: %+v", d, odd, i, n, o)
						}
					}
				}
			}
		}
	}
	if o := Scan(graph.Ints([]int64{math.MinInt64}), 1); o.Any() {
		t.Errorf("integers: %s", o)
	}
	o := Oddities{NaN: 17, Inf: 2, Of: 4096, First: 12, Value: nan}
	if got, want := o.String(), "17 of 4096 values are NaN, 2 of 4096 values are infinite; the first, element 12 is NaN"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// neighbours are the largest number of a dtype that is at most most, and the next
// one, infinity where there is none.
func neighbours(t *testing.T, d graph.DType, most float64) (under, over float64) {
	t.Helper()
	switch d {
	case graph.Float64:
		return most, math.Nextafter(most, math.Inf(1))
	case graph.Float32:
		return float64(float32(most)), float64(math.Nextafter32(float32(most), float32(math.Inf(1))))
	}
	for h := range uint16(0x7fff) {
		x := float64(graph.F16ToF32(h))
		if d == graph.BFloat16 {
			x = float64(math.Float32frombits(uint32(h) << 16))
		}
		if x > most || math.IsInf(x, 0) {
			return under, x
		}
		under = x
	}
	t.Fatal("no number is larger")
	return
}

func fill(n int, x float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = x
	}
	return v
}

func set(t *testing.T, x *graph.Tensor, v []float64) {
	t.Helper()
	if x.DType == graph.Float64 {
		copy(graph.View[float64](x), v)
		return
	}
	f := make([]float32, len(v))
	for i := range v {
		f[i] = float32(v[i])
	}
	if err := x.SetFloat32s(f); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, d := range []graph.DType{graph.Float32, graph.Float16} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			x, err := graph.NewTensor(d, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			v := make([]float32, 1<<20)
			for i := range v {
				v[i] = rand.Float32()
			}
			if err := x.SetFloat32s(v); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(x.Data)))
			for b.Loop() {
				if Scan(x, d.Largest()).Any() {
					b.Fatal("odd")
				}
			}
		})
	}
}
