package op

import (
	"fmt"

	"mnnconv/graph"
)

// arith holds one scalar function per number class. Floats narrower than
// float64 are computed in float64 and rounded once, which for +, -, *, / and
// square root is the correctly rounded result in the narrow type. A nil function
// means that the operator is not defined on that class.
type arith struct {
	float func(a, b float64) float64
	int   func(a, b int64) (int64, error) // also narrower widths, wrapped
	uint  func(a, b uint64) (uint64, error)
	bool  func(a, b bool) bool
}

// broadcastIndex walks an output of the given shape and yields, for each
// element, the offsets into two inputs broadcast to it.
func broadcastIndex(out, a, b []int64, f func(i, ia, ib int) error) error {
	n, err := graph.Elements(out)
	if err != nil {
		return err
	}
	sa, sb := broadcastStrides(out, a), broadcastStrides(out, b)
	idx := make([]int64, len(out))
	ia, ib := 0, 0
	for i := 0; i < int(n); i++ {
		if err := f(i, ia, ib); err != nil {
			return err
		}
		for d := len(out) - 1; d >= 0; d-- {
			idx[d]++
			ia += sa[d]
			ib += sb[d]
			if idx[d] < out[d] {
				break
			}
			ia -= sa[d] * int(out[d])
			ib -= sb[d] * int(out[d])
			idx[d] = 0
		}
	}
	return nil
}

// broadcastStrides returns the strides, in elements, with which an input of
// shape in is read for an output of shape out: 0 along broadcast axes.
func broadcastStrides(out, in []int64) []int {
	strides := make([]int, len(out))
	step := 1
	for d := len(in) - 1; d >= 0; d-- {
		if in[d] != 1 {
			strides[d+len(out)-len(in)] = step
		}
		step *= int(in[d])
	}
	return strides
}

// BroadcastShape returns the concrete shape of multidirectional broadcasting.
func BroadcastShape(shapes ...[]int64) ([]int64, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int64, rank)
	for i := range out {
		out[i] = 1
		for _, s := range shapes {
			j := i - rank + len(s)
			if j < 0 || s[j] == 1 || s[j] == out[i] {
				continue
			}
			if out[i] != 1 {
				return nil, fmt.Errorf("%w: shapes %v cannot be broadcast together", ErrInput, shapes)
			}
			out[i] = s[j]
		}
	}
	return out, nil
}

// evalBinary applies f to two broadcast tensors of one dtype; the result has
// that dtype.
func evalBinary(c *Call, f arith) error {
	a, b := c.Arg(0), c.Arg(1)
	if a.DType != b.DType {
		return fmt.Errorf("%w: inputs have dtypes %s and %s", graph.ErrType, a.DType, b.DType)
	}
	shape, err := BroadcastShape(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	out, err := c.New(0, a.DType, shape...)
	if err != nil {
		return err
	}
	return binaryInto(out, a, b, f)
}

func binaryInto(out, a, b *graph.Tensor, f arith) error {
	undefined := fmt.Errorf("not defined for %s: %w", a.DType, ErrUnsupported)
	switch a.DType {
	case graph.Float32, graph.Float16, graph.BFloat16:
		if f.float == nil {
			return undefined
		}
		x, _ := a.Float32s()
		y, _ := b.Float32s()
		z := make([]float32, out.Len())
		err := broadcastIndex(out.Shape, a.Shape, b.Shape, func(i, ia, ib int) error {
			z[i] = float32(f.float(float64(x[ia]), float64(y[ib])))
			return nil
		})
		if err != nil {
			return err
		}
		return out.SetFloat32s(z)
	case graph.Float64:
		if f.float == nil {
			return undefined
		}
		x, y, z := graph.View[float64](a), graph.View[float64](b), graph.View[float64](out)
		return broadcastIndex(out.Shape, a.Shape, b.Shape, func(i, ia, ib int) error {
			z[i] = f.float(x[ia], y[ib])
			return nil
		})
	case graph.Int64:
		return binaryInts[int64](out, a, b, f, undefined)
	case graph.Int32:
		return binaryInts[int32](out, a, b, f, undefined)
	case graph.Int16:
		return binaryInts[int16](out, a, b, f, undefined)
	case graph.Int8:
		return binaryInts[int8](out, a, b, f, undefined)
	case graph.Uint64:
		return binaryUints[uint64](out, a, b, f, undefined)
	case graph.Uint32:
		return binaryUints[uint32](out, a, b, f, undefined)
	case graph.Uint16:
		return binaryUints[uint16](out, a, b, f, undefined)
	case graph.Uint8:
		return binaryUints[uint8](out, a, b, f, undefined)
	case graph.Bool:
		if f.bool == nil {
			return undefined
		}
		x, y, z := a.Data, b.Data, out.Data
		return broadcastIndex(out.Shape, a.Shape, b.Shape, func(i, ia, ib int) error {
			z[i] = bit(f.bool(x[ia] != 0, y[ib] != 0))
			return nil
		})
	}
	return undefined
}

func binaryInts[T int8 | int16 | int32 | int64](out, a, b *graph.Tensor, f arith, undefined error) error {
	if f.int == nil {
		return undefined
	}
	x, y, z := graph.View[T](a), graph.View[T](b), graph.View[T](out)
	return broadcastIndex(out.Shape, a.Shape, b.Shape, func(i, ia, ib int) error {
		v, err := f.int(int64(x[ia]), int64(y[ib]))
		z[i] = T(v)
		return err
	})
}

func binaryUints[T uint8 | uint16 | uint32 | uint64](out, a, b *graph.Tensor, f arith, undefined error) error {
	if f.uint == nil {
		return undefined
	}
	x, y, z := graph.View[T](a), graph.View[T](b), graph.View[T](out)
	return broadcastIndex(out.Shape, a.Shape, b.Shape, func(i, ia, ib int) error {
		v, err := f.uint(uint64(x[ia]), uint64(y[ib]))
		z[i] = T(v)
		return err
	})
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// inferBinary is Infer for operators whose output has the inputs' dtype and
// broadcast shape; dims, if not nil, carries shape arithmetic through.
func inferBinary(dims func(a, b graph.Dim) graph.Dim) func(*Inference) error {
	if dims == nil {
		return inferElementwise(nil)
	}
	return inferElementwise(func(x []graph.Dim) (graph.Dim, bool) { return dims(x[0], x[1]), true })
}

// inferElementwise is inferBinary for any number of inputs; dims gets one
// element of each and returns false where the result is not proven.
func inferElementwise(dims func(x []graph.Dim) (graph.Dim, bool)) func(*Inference) error {
	return func(in *Inference) error {
		inputs := make([]int, len(in.Node.Inputs))
		shapes := make([]graph.Shape, len(inputs))
		for i := range inputs {
			inputs[i], shapes[i] = i, in.Type(i).Shape
		}
		d, err := in.commonDType(inputs...)
		if err != nil {
			return err
		}
		s, err := in.Broadcast(shapes...)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, s)
		if dims != nil && d.IsInt() {
			in.knowEach(dims)
		}
		return nil
	}
}
