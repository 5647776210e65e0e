package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// Pow is ONNX Pow: element-wise power with broadcasting.
var Pow = &Op{
	Name: "Pow", Since: 7,
	Doc: "Z = X^Y, element by element, with multidirectional broadcasting, in the dtype of X; Y may have another one. " +
		"Integers to integer powers wrap, a negative power truncates to 0 unless X is 1 or -1, and 0 to a negative power is an error; " +
		"integers to floating-point powers are truncated.",
	Inputs: []string{"X", "Y"}, Outputs: []string{"Z"},
	Infer: only(isNumber, func(in *Inference) error {
		s, err := in.Broadcast(in.Type(0).Shape, in.Type(1).Shape)
		if err != nil {
			return err
		}
		in.SetTensor(0, in.Type(0).DType, s)
		return nil
	}),
	Eval: func(c *Call) error {
		x, y := c.Arg(0), c.Arg(1)
		if !isNumber(x.DType) || !isNumber(y.DType) {
			return fmt.Errorf("not defined for %s to the power of %s: %w", x.DType, y.DType, ErrUnsupported)
		}
		shape, err := BroadcastShape(x.Shape, y.Shape)
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, shape...)
		if err != nil {
			return err
		}
		if isInteger(x.DType) && isInteger(y.DType) {
			return intPowers(out, x, y)
		}
		return realPowers(out, x, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "square",
			In:   []*graph.Tensor{graph.Floats([]float32{-3, 0.5, 2}), graph.Floats([]float32{2}, []int64{}...)},
			Want: []*graph.Tensor{graph.Floats([]float32{9, 0.25, 4})},
		}, {
			Name: "float to int64",
			In:   []*graph.Tensor{graph.Floats([]float32{2, 4}), graph.Ints([]int64{-1, 3})},
			Want: []*graph.Tensor{graph.Floats([]float32{0.5, 64})},
		}, {
			Name: "int64",
			In:   []*graph.Tensor{graph.Ints([]int64{3, 2, -1, 2}), graph.Ints([]int64{5, 0, -3, -1})},
			Want: []*graph.Tensor{graph.Ints([]int64{243, 1, -1, 0})},
		}, {
			Name: "int32 to float",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{3, 9}), graph.Floats([]float32{1.5, 0.5})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{5, 3})},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{10000, 1e4}), narrow(graph.Float16, []float32{0.5, 2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x5640, 0x7c00})},
		}}
	},
}

func realPowers(out, x, y *graph.Tensor) error {
	a, err := x.Float64s()
	if err != nil {
		return err
	}
	b, err := y.Float64s()
	if err != nil {
		return err
	}
	z := make([]float64, out.Len())
	err = broadcastIndex(out.Shape, x.Shape, y.Shape, func(i, ix, iy int) error {
		z[i] = math.Pow(a[ix], b[iy])
		return nil
	})
	if err != nil {
		return err
	}
	if isReal(out.DType) {
		return storeFloats(out, z)
	}
	n := make([]int64, len(z))
	for i, v := range z {
		n[i] = toInt(v, out.DType)
	}
	return storeInts(out, n)
}

func intPowers(out, x, y *graph.Tensor) error {
	a, err := x.Int64s()
	if err != nil {
		return err
	}
	b, err := y.Int64s()
	if err != nil {
		return err
	}
	z := make([]int64, out.Len())
	err = broadcastIndex(out.Shape, x.Shape, y.Shape, func(i, ix, iy int) error {
		base, exponent := a[ix], b[iy]
		if exponent < 0 && y.DType != graph.Uint64 {
			if base == 0 {
				return inputErrorf("0 to the power of %d", exponent)
			}
			if base != 1 && base != -1 {
				return nil
			}
			exponent &= 1
		}
		z[i] = intPower(base, uint64(exponent))
		return nil
	})
	if err != nil {
		return err
	}
	return storeInts(out, z)
}

// intPower returns base^exponent modulo 2^64, by squaring.
func intPower(base int64, exponent uint64) int64 {
	p := int64(1)
	for ; exponent > 0; exponent >>= 1 {
		if exponent&1 != 0 {
			p *= base
		}
		base *= base
	}
	return p
}
