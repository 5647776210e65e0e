package host

import (
	"math"
	"slices"
	"testing"

	"mnnconv/graph"
)

func TestHalfConversionsAgreeWithGraph(t *testing.T) {
	halves := make([]uint16, 1<<16)
	for i := range halves {
		halves[i] = uint16(i)
	}
	wide := make([]float32, len(halves))
	vectors.WidenF16(wide, halves)
	for i, h := range halves {
		if want := graph.F16ToF32(h); math.Float32bits(wide[i]) != math.Float32bits(want) && want == want { // what is no number may lose its payload
			t.Fatalf("widening %#x gives %v, want %v", h, wide[i], want)
		}
	}
	// Every half, its neighbours' midpoints and what lies just beside them.
	var v []float32
	for _, h := range halves {
		x := graph.F16ToF32(h)
		mid := math.Float32frombits(math.Float32bits(x) + 1<<12)
		v = append(v, x, mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, math.MaxFloat32))
	}
	v = append(v, 65519.996, 65520, -65520, math.MaxFloat32, 6.1035156e-05, 6.1035153e-05, 1e-10, math.SmallestNonzeroFloat32)
	narrow := make([]uint16, len(v))
	vectors.NarrowF16(narrow, v)
	for i, x := range v {
		if want := graph.F32ToF16(x); narrow[i] != want {
			t.Fatalf("narrowing %v gives %#x, want %#x", x, narrow[i], want)
		}
	}
	rounded := slices.Clone(v)
	roundFloats(graph.Float16, rounded)
	for i, x := range v {
		if want := graph.F16ToF32(narrow[i]); math.Float32bits(rounded[i]) != math.Float32bits(want) {
			t.Fatalf("rounding %v gives %v, want %v", x, rounded[i], want)
		}
	}
}

func BenchmarkWidenF16(b *testing.B) {
	src, dst := make([]uint16, 4096), make([]float32, 4096)
	for i := range src {
		src[i] = graph.F32ToF16(float32(i%97) - 48.3)
	}
	for b.Loop() {
		vectors.WidenF16(dst, src)
	}
	perElement(b, len(dst))
}

func BenchmarkNarrowF16(b *testing.B) {
	src, dst := make([]float32, 4096), make([]uint16, 4096)
	for i := range src {
		src[i] = float32(i%97) - 48.3
	}
	for b.Loop() {
		vectors.NarrowF16(dst, src)
	}
	perElement(b, len(dst))
}

func perElement(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
}
