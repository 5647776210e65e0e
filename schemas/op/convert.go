package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// storeFloats stores v in a tensor of float64, float32, float16 or bfloat16,
// rounded once to the nearest, ties to even.
func storeFloats(t *graph.Tensor, v []float64) error {
	if t.DType == graph.Float64 {
		copy(graph.View[float64](t), v)
		return nil
	}
	narrow, round := make([]float32, len(v)), rounding(t.DType)
	for i, x := range v {
		narrow[i] = round(x)
	}
	return t.SetFloat32s(narrow)
}

// rounding returns the function that takes a result to float32 on its way to
// dtype d, such that Tensor.SetFloat32s then gives the result rounded once.
func rounding(d graph.DType) func(float64) float32 {
	if d == graph.Float32 {
		return func(v float64) float32 { return float32(v) }
	}
	return roundOdd
}

// roundOdd returns v if it is a float32, else the neighbour whose last bit is
// set. Rounding that to a type at least 2 bits narrower equals rounding v
// (Boldo and Melquiond, "When double rounding is odd", 2005).
func roundOdd(v float64) float32 {
	f := float32(v)
	b := math.Float32bits(f)
	if w := float64(f); w != v && v == v && b&1 == 0 {
		if math.Abs(w) > math.Abs(v) {
			b--
		} else {
			b++
		}
	}
	return math.Float32frombits(b)
}

// intRange returns the smallest and largest value of an integer type or Bool.
func intRange(d graph.DType) (lo int64, hi uint64) {
	bits := d.Bits()
	switch d {
	case graph.Bool:
		return 0, 1
	case graph.Int64, graph.Int32, graph.Int16, graph.Int8, graph.Int4, graph.Int2:
		return -1 << (bits - 1), 1<<(bits-1) - 1
	}
	return 0, 1<<bits - 1
}

// toInt truncates v toward zero to an integer of type d (uint64: its bits).
// What ONNX leaves undefined is defined here: values out of range become the
// nearest limit and NaN becomes 0.
func toInt(v float64, d graph.DType) int64 {
	lo, hi := intRange(d)
	switch {
	case v != v:
		return 0
	case v <= float64(lo):
		return lo
	case v >= float64(hi):
		return int64(hi)
	case v >= 1<<63:
		return int64(uint64(v))
	}
	return int64(v)
}

// storeInts stores v in a zeroed tensor of integers, keeping the low bits of
// each, or of bools, where all but 0 is true.
func storeInts(t *graph.Tensor, v []int64) error {
	switch d := t.DType; {
	case d == graph.Bool:
		for i, x := range v {
			t.Data[i] = bit(x != 0)
		}
	case !d.IsInt():
		return fmt.Errorf("cannot store integers in a %s tensor", d)
	case d.Bits() == 64:
		copy(graph.View[int64](t), v)
	case d.Bits() == 32:
		narrowInts(graph.View[int32](t), v)
	case d.Bits() == 16:
		narrowInts(graph.View[int16](t), v)
	case d.Bits() == 8:
		narrowInts(graph.View[int8](t), v)
	default:
		for i, x := range v {
			storePacked(t, i, uint8(x))
		}
	}
	return nil
}

func narrowInts[T int8 | int16 | int32](out []T, v []int64) {
	for i, x := range v {
		out[i] = T(x)
	}
}

// storePacked stores the low bits of v as element i of a zeroed tensor of a
// type below 8 bits.
func storePacked(t *graph.Tensor, i int, v uint8) {
	bits := t.DType.Bits()
	per := 8 / bits
	t.Data[i/per] |= v & (1<<bits - 1) << (i % per * bits)
}
