package op

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// Cast is ONNX Cast: conversion of every element to another dtype.
var Cast = &Op{
	Name: "Cast", Since: 6,
	Doc: "output = input, element by element, in the dtype named by the attribute to. Floats become the nearest float, ties to even; " +
		"8- and 4-bit ones as the operator's tables say for saturate and round_mode. Floats become integers by truncation; " +
		"what ONNX leaves undefined is fixed: NaN gives 0 and out of range the nearest limit, " +
		"except that integers below 32 bits are the low bits of an int32 made so. Integers wrap. All but 0 becomes true, NaN too.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Attrs: []string{"to", "saturate", "round_mode"},
	Infer: func(in *Inference) error {
		to, err := dtypeAttr(in.Node, "to")
		if err != nil {
			return err
		}
		if !to.Valid() {
			return in.Errorf("attribute to is missing")
		}
		inferCast(in, to)
		return nil
	},
	Eval: func(c *Call) error {
		to, err := dtypeAttr(c.Node, "to")
		if err != nil {
			return err
		}
		return evalCast(c, to)
	},
	Cases: func() []Case {
		to := func(d graph.DType, more ...graph.Attr) []graph.Attr {
			return append([]graph.Attr{{Name: "to", Value: int64(d)}}, more...)
		}
		wrap := graph.Attr{Name: "saturate", Value: int64(0)}
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		x := graph.Floats([]float32{2.9, -2.9, 300, nan, inf, -inf})
		return []Case{{
			Name: "float to int32", Attrs: to(graph.Int32),
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{2, -2, 300, 0, math.MaxInt32, math.MinInt32})},
		}, {
			Name: "float to uint8", Attrs: to(graph.Uint8),
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{2, 254, 44, 0, 255, 0})},
		}, {
			Name: "float to uint64", Attrs: to(graph.Uint64),
			In:   []*graph.Tensor{graph.Floats([]float32{0x1p63, 0x1p64, -1, 7})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 63, math.MaxUint64, 0, 7})},
		}, {
			Name: "float to bool", Attrs: to(graph.Bool),
			In:   []*graph.Tensor{graph.Floats([]float32{0, float32(math.Copysign(0, -1)), 0.1, nan}, 2, 2)},
			Want: []*graph.Tensor{bools([]bool{false, false, true, true}, 2, 2)},
		}, {
			Name: "int64 wraps to int8", Attrs: to(graph.Int8),
			In:   []*graph.Tensor{graph.Ints([]int64{200, -1, 256})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-56, -1, 0})},
		}, {
			Name: "int64 scalar to int32", Attrs: to(graph.Int32),
			In:   []*graph.Tensor{graph.Scalar(-7)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-7}, []int64{}...)},
		}, {
			Name: "int64 to float", Attrs: to(graph.Float32),
			In:   []*graph.Tensor{graph.Ints([]int64{1<<60 + 1<<36 + 1, -3})},
			Want: []*graph.Tensor{graph.Floats([]float32{1<<60 + 1<<37, -3})},
		}, {
			Name: "float64 rounds once to float16", Attrs: to(graph.Float16),
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11, 1e6})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3c01, 0x3c00, 0x7c00})},
		}, {
			Name: "float to bfloat16", Attrs: to(graph.BFloat16),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 257, nan})},
			Want: []*graph.Tensor{graph.FromSlice(graph.BFloat16, []uint16{0x3f80, 0x4380, 0x7fc0})},
		}, {
			Name: "float to float8e4m3fn", Attrs: to(graph.Float8E4M3FN),
			In:   []*graph.Tensor{graph.Floats([]float32{300.7, -1.5, nan, inf, 464, 1e-9})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float8E4M3FN, []uint8{0x79, 0xbc, 0x7f, 0x7e, 0x7e, 0})},
		}, {
			Name: "float to float8e5m2 without saturation", Attrs: to(graph.Float8E5M2, wrap),
			In:   []*graph.Tensor{graph.Floats([]float32{57344, 61440, -inf})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float8E5M2, []uint8{0x7b, 0x7c, 0xfc})},
		}, {
			Name: "float to float8e8m0", Attrs: to(graph.Float8E8M0),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 1.4, 3, inf, 0, nan})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float8E8M0, []uint8{127, 128, 129, 254, 0, 255})},
		}, {
			Name:  "float to float8e8m0, nearest without saturation",
			Attrs: to(graph.Float8E8M0, wrap, graph.Attr{Name: "round_mode", Value: "nearest"}),
			In:    []*graph.Tensor{graph.Floats([]float32{1.4, 1.5, inf, 0})},
			Want:  []*graph.Tensor{graph.FromSlice(graph.Float8E8M0, []uint8{127, 128, 255, 255})},
		}, {
			Name: "float to float4e2m1", Attrs: to(graph.Float4E2M1),
			In:   []*graph.Tensor{graph.Floats([]float32{300, -1.5, -2.5})},
			Want: []*graph.Tensor{{DType: graph.Float4E2M1, Shape: []int64{3}, Data: []byte{0xb7, 0x0c}}},
		}, {
			Name: "int4 both ways", Attrs: to(graph.Int8),
			In:   []*graph.Tensor{{DType: graph.Int4, Shape: []int64{3}, Data: []byte{0x8f, 0x07}}},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-1, -8, 7})},
		}, {
			Name: "int32 to int4", Attrs: to(graph.Int4),
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-1, 8, 23})},
			Want: []*graph.Tensor{{DType: graph.Int4, Shape: []int64{3}, Data: []byte{0x8f, 0x07}}},
		}, {
			Name: "bool to int64", Attrs: to(graph.Int64),
			In:   []*graph.Tensor{bools([]bool{true, false})},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 0})},
		}, {
			Name: "string to float", Attrs: to(graph.Float32),
			In:   []*graph.Tensor{words("3.14", "1e-5", "-INF", "+inf")},
			Want: []*graph.Tensor{graph.Floats([]float32{3.14, 1e-5, -inf, inf})},
		}, {
			Name: "string to int64", Attrs: to(graph.Int64),
			In:   []*graph.Tensor{words("9007199254740993", "100.5")},
			Want: []*graph.Tensor{graph.Ints([]int64{9007199254740993, 100})},
		}, {
			Name: "float to string", Attrs: to(graph.String),
			In:   []*graph.Tensor{graph.Floats([]float32{0.1, -inf, nan, 1e-7})},
			Want: []*graph.Tensor{words("0.1", "-INF", "NaN", "0.0000001")},
		}, {
			Name: "same dtype", Attrs: to(graph.Float32),
			In:   []*graph.Tensor{graph.Floats(nil, 0, 2)},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 2)},
		}}
	},
}

// inferCast sets output 0 to the shape of input 0 in another dtype; integers
// stay known unless they might wrap.
func inferCast(in *Inference, to graph.DType) {
	in.SetTensor(0, to, in.Type(0).Shape)
	if to.IsInt() {
		in.knowFirst()
	}
}

// evalCast converts input 0 to a dtype; the data is shared where it is that already.
func evalCast(c *Call, to graph.DType) error {
	x := c.Arg(0)
	if x.DType == to {
		c.Set(0, x)
		return nil
	}
	if !castable(x.DType) || !castable(to) {
		return fmt.Errorf("%s to %s: %w", x.DType, to, ErrUnsupported)
	}
	out, err := c.New(0, to, x.Shape...)
	if err != nil {
		return err
	}
	switch {
	case x.DType == graph.String:
		return parse(out, x.Strings)
	case to == graph.String:
		return format(out, x)
	case isReal(to) && (to == graph.Float32 || x.DType.IsFloat()) && x.DType != graph.Float64:
		// float32 holds narrower floats exactly, and integers go to it in one step
		v, err := x.Float32s()
		if err != nil {
			return err
		}
		return out.SetFloat32s(v)
	case !x.DType.IsFloat() && !to.IsFloat():
		v, err := x.Int64s()
		if err != nil {
			return err
		}
		return storeInts(out, v)
	}
	v, err := x.Float64s()
	if err != nil {
		return err
	}
	switch {
	case to == graph.Bool:
		for i, f := range v {
			out.Data[i] = bit(f != 0)
		}
		return nil
	case to.IsInt():
		return truncateInto(out, v)
	case isReal(to):
		return storeFloats(out, v)
	}
	return storeSmallFloats(out, v, c.Node)
}

func castable(d graph.DType) bool {
	return d == graph.String || d == graph.Bool || d.IsInt() || d.IsFloat()
}

// truncateInto stores v truncated in a zeroed tensor of integers. Narrow ones
// go through an int32: what NumPy does, and what ONNX's conformance data expect.
func truncateInto(t *graph.Tensor, v []float64) error {
	d := t.DType
	if d.Bits() < 32 {
		d = graph.Int32
	}
	n := make([]int64, len(v))
	for i, f := range v {
		n[i] = toInt(f, d)
	}
	return storeInts(t, n)
}

// storeSmallFloats stores v in a zeroed tensor of 8- or 4-bit floats, as the
// attributes of n say.
func storeSmallFloats(t *graph.Tensor, v []float64, n *graph.Node) error {
	saturate := n.Int("saturate", 1) != 0
	if t.DType == graph.Float8E8M0 {
		mode := n.Str("round_mode", "up")
		if mode != "up" && mode != "down" && mode != "nearest" {
			return inputErrorf("round_mode is %q, want up, down or nearest", mode)
		}
		for i, f := range v {
			t.Data[i] = powerOfTwo(f, mode, saturate)
		}
		return nil
	}
	f, ok := newSmallFloat(t.DType)
	if !ok {
		return fmt.Errorf("to %s: %w", t.DType, ErrUnsupported)
	}
	for i, x := range v {
		storePacked(t, i, f.code(roundOdd(x), saturate))
	}
	return nil
}

// powerOfTwo returns the Float8E8M0 code of v: its exponent plus 127, 255 being
// NaN. Negative numbers, which ONNX leaves undefined, become NaN.
func powerOfTwo(v float64, mode string, saturate bool) uint8 {
	const nan, largest = 255, 254
	switch {
	case !(v >= 0) || !saturate && (v == 0 || math.IsInf(v, 1)):
		return nan
	case v == 0:
		return 0
	case math.IsInf(v, 1):
		return largest
	}
	frac, exp := math.Frexp(v) // v = 2*frac * 2^(exp-1), 1 ≤ 2*frac < 2
	if mode == "up" && frac > 0.5 || mode == "nearest" && frac >= 0.75 {
		exp++
	}
	code := exp - 1 + 127
	if !saturate && (code < 0 || code > largest) {
		return nan
	}
	return uint8(max(0, min(largest, code)))
}

// parse stores numbers written as text. Integers may be written as floats and
// are truncated then.
func parse(out *graph.Tensor, text []string) error {
	v, n := make([]float64, len(text)), make([]int64, len(text))
	for i, s := range text {
		s = strings.TrimSpace(s)
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !math.IsInf(f, 0) {
			return inputErrorf("element %d, %.40q, is not a number", i, s)
		}
		v[i], n[i] = f, toInt(f, out.DType)
		if whole, err := strconv.ParseInt(s, 10, 64); err == nil {
			n[i] = whole
		}
	}
	switch {
	case isReal(out.DType):
		return storeFloats(out, v)
	case out.DType.IsFloat():
		return fmt.Errorf("string to %s: %w", out.DType, ErrUnsupported)
	}
	return storeInts(out, n)
}

// format stores numbers as text: floats in plain notation with as many digits
// as tell them apart from their neighbours in the dtype's own width.
func format(out, x *graph.Tensor) error {
	if x.DType.IsFloat() {
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		bits := 32
		if x.DType == graph.Float64 {
			bits = 64
		}
		for i, f := range v {
			switch {
			case math.IsInf(f, 1):
				out.Strings[i] = "INF"
			case math.IsInf(f, -1):
				out.Strings[i] = "-INF"
			default:
				out.Strings[i] = strconv.FormatFloat(f, 'f', -1, bits)
			}
		}
		return nil
	}
	v, err := x.Int64s()
	for i, n := range v {
		if x.DType == graph.Uint64 {
			out.Strings[i] = strconv.FormatUint(uint64(n), 10)
		} else {
			out.Strings[i] = strconv.FormatInt(n, 10)
		}
	}
	return err
}
