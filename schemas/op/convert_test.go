package op

import (
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
)

// TestRoundOdd compares rounding by way of float32 with the two float16
// neighbours of the number itself.
func TestRoundOdd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v := math.Ldexp(1+r.Float64(), r.IntN(44)-28)
		if r.IntN(2) == 0 { // near a midpoint, where rounding twice goes wrong
			h := uint16(r.IntN(0x7bff))
			mid := (float64(graph.F16ToF32(h)) + float64(graph.F16ToF32(h+1))) / 2
			v = mid * (1 + float64(r.IntN(3)-1)*0x1p-45)
		}
		got := graph.F32ToF16(roundOdd(v))
		if want := nearestF16(v); got != want {
			t.Fatalf("%b rounds to %#x, want %#x", v, got, want)
		}
	}
}

// nearestF16 searches the positive half-precision numbers for the nearest one.
func nearestF16(v float64) uint16 {
	lo, hi := uint16(0), uint16(0x7c00)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; float64(graph.F16ToF32(mid)) <= v {
			lo = mid
		} else {
			hi = mid
		}
	}
	below, above := float64(graph.F16ToF32(lo)), 65536.0
	if hi < 0x7c00 {
		above = float64(graph.F16ToF32(hi))
	}
	if d := (v - below) - (above - v); d > 0 || d == 0 && lo&1 == 1 {
		return hi
	}
	return lo
}

func TestToInt(t *testing.T) {
	for _, k := range []struct {
		v    float64
		d    graph.DType
		want int64
	}{
		{2.9, graph.Int64, 2},
		{-2.9, graph.Int64, -2},
		{math.NaN(), graph.Int32, 0},
		{math.Inf(1), graph.Int64, math.MaxInt64},
		{math.Inf(-1), graph.Int64, math.MinInt64},
		{0x1p63, graph.Int64, math.MaxInt64},
		{0x1p63, graph.Uint64, math.MinInt64},
		{math.Inf(1), graph.Uint64, -1},
		{-1, graph.Uint64, 0},
		{200, graph.Int8, 127},
		{-9, graph.Int4, -8},
		{5, graph.Uint2, 3},
		{math.Inf(-1), graph.Bool, 0},
		{math.Inf(1), graph.Bool, 1},
	} {
		if got := toInt(k.v, k.d); got != k.want {
			t.Errorf("toInt(%v, %s) = %d, want %d", k.v, k.d, got, k.want)
		}
	}
}

func TestStorePacked(t *testing.T) {
	for _, d := range []graph.DType{graph.Int4, graph.Uint4, graph.Int2, graph.Uint2} {
		want := make([]int64, 16)
		lo, hi := intRange(d)
		for i := range want {
			want[i] = lo + int64(i)%(int64(hi)-lo+1)
		}
		x, err := graph.NewTensor(d, 16)
		if err != nil {
			t.Fatal(err)
		}
		if err := storeInts(x, want); err != nil {
			t.Fatal(err)
		}
		got, err := x.Int64s()
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: element %d is %d, want %d", d, i, got[i], want[i])
			}
		}
	}
}
