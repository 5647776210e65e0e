package op

import (
	"fmt"

	"mnnconv/graph"
)

// unary holds one scalar function per number class. Floats narrower than
// float64 are computed in float64 and rounded once. A nil function means that
// the operator is not defined on that class.
type unary struct {
	float func(float64) float64
	int   func(int64) int64 // also narrower widths, wrapped
	uint  func(uint64) uint64
}

// evalUnary applies f to every element of input 0.
func evalUnary(c *Call, f unary) error {
	x := c.Arg(0)
	d := x.DType
	float, unsigned := isReal(d), d == graph.Uint8 || d == graph.Uint16 || d == graph.Uint32 || d == graph.Uint64
	if float && f.float == nil || unsigned && f.uint == nil || !float && !unsigned && (f.int == nil || !isInteger(d)) {
		return fmt.Errorf("not defined for %s: %w", d, ErrUnsupported)
	}
	out, err := c.New(0, d, x.Shape...)
	if err != nil {
		return err
	}
	if d == graph.Float64 {
		y := graph.View[float64](out)
		for i, v := range graph.View[float64](x) {
			y[i] = f.float(v)
		}
		return nil
	}
	if float {
		v, err := x.Float32s()
		if err != nil {
			return err
		}
		y, round := make([]float32, len(v)), rounding(d)
		for i := range v {
			y[i] = round(f.float(float64(v[i])))
		}
		return out.SetFloat32s(y)
	}
	v, err := x.Int64s()
	if err != nil {
		return err
	}
	y := make([]int64, len(v))
	for i := range v {
		if unsigned {
			y[i] = int64(f.uint(uint64(v[i])))
		} else {
			y[i] = f.int(v[i])
		}
	}
	return storeInts(out, y)
}

// inferUnary is Infer for operators whose output has the type of input 0; dims
// carries shape arithmetic through and returns false where the result is not
// proven.
func inferUnary(dims func(graph.Dim) (graph.Dim, bool)) func(*Inference) error {
	return func(in *Inference) error {
		t := in.Type(0)
		in.SetTensor(0, t.DType, t.Shape)
		if t.DType.IsInt() {
			in.knowEach(func(x []graph.Dim) (graph.Dim, bool) { return dims(x[0]) })
		}
		return nil
	}
}

// inferReal is Infer for floating-point functions of one input.
var inferReal = only(isReal, sameShape)
