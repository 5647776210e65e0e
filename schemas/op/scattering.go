package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// What ScatterND and ScatterElements share.

// inferScatter is Infer of both: the data's type, with known elements moved.
func inferScatter(eval func(*Call) error) func(*Inference) error {
	return func(in *Inference) error {
		d, err := in.commonDType(0, 2)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, in.Type(0).Shape)
		if in.Node.Str("reduction", "none") == "none" {
			in.knowMoved(eval, func(input int) bool { return input != 1 })
		}
		return nil
	}
}

// scatter sets output 0 to a copy of input 0 in which run i of input 2 is
// written, or combined by the attribute reduction, at element places[i].
// Later runs win.
func (c *Call) scatter(places []int, run int, updates []int64) error {
	x, u := c.Arg(0), c.Arg(2)
	if !slices.Equal(u.Shape, updates) {
		return inputErrorf("updates have shape %v, want %v", u.Shape, updates)
	}
	m, err := c.moveTo(0, x, x.Shape...)
	if err != nil {
		return err
	}
	m.all()
	out := m.dst
	if m, err = newMover(out, u); err != nil {
		return err
	}
	reduction := c.Node.Str("reduction", "none")
	if reduction == "none" {
		for i, place := range places {
			m.copy(place, i*run, run)
		}
		return nil
	}
	switch x.DType {
	case graph.Float16, graph.BFloat16: // rounded once, after the last update
		sum, _ := out.Float32s()
		add, _ := u.Float32s()
		if err := combine(sum, add, places, run, reduction); err != nil {
			return err
		}
		return out.SetFloat32s(sum)
	case graph.Float32:
		return combineViews[float32](out, u, places, run, reduction)
	case graph.Float64:
		return combineViews[float64](out, u, places, run, reduction)
	case graph.Int8:
		return combineViews[int8](out, u, places, run, reduction)
	case graph.Int16:
		return combineViews[int16](out, u, places, run, reduction)
	case graph.Int32:
		return combineViews[int32](out, u, places, run, reduction)
	case graph.Int64:
		return combineViews[int64](out, u, places, run, reduction)
	case graph.Uint8:
		return combineViews[uint8](out, u, places, run, reduction)
	case graph.Uint16:
		return combineViews[uint16](out, u, places, run, reduction)
	case graph.Uint32:
		return combineViews[uint32](out, u, places, run, reduction)
	case graph.Uint64:
		return combineViews[uint64](out, u, places, run, reduction)
	}
	return fmt.Errorf("reduction %q of %s is %w", reduction, x.DType, ErrUnsupported)
}

func combineViews[T graph.Number](out, u *graph.Tensor, places []int, run int, reduction string) error {
	return combine(graph.View[T](out), graph.View[T](u), places, run, reduction)
}

func combine[T graph.Number](out, updates []T, places []int, run int, reduction string) error {
	var f func(a, b T) T
	switch reduction {
	case "add":
		f = func(a, b T) T { return a + b }
	case "mul":
		f = func(a, b T) T { return a * b }
	case "max":
		f = func(a, b T) T { return max(a, b) }
	case "min":
		f = func(a, b T) T { return min(a, b) }
	default:
		return fmt.Errorf("reduction %q is %w", reduction, ErrUnsupported)
	}
	for i, place := range places {
		for k := range run {
			out[place+k] = f(out[place+k], updates[i*run+k])
		}
	}
	return nil
}
