package conformance

import (
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
)

// ONNX's tolerances: a number may differ from the one wanted by absolute +
// relative × that.
const (
	relative = 1e-3
	absolute = 1e-7
)

// same returns an error unless got is what is wanted: kind, dtype and shape, each
// string, and each number within the tolerances. Integers are compared exactly.
func same(got, want *graph.Tensor) error {
	if got.Kind != want.Kind {
		return fmt.Errorf("got %s, want %s", got.Type(), want.Type())
	}
	if want.Kind != graph.TensorKind {
		if len(got.Elems) != len(want.Elems) {
			return fmt.Errorf("got %d elements, want %d", len(got.Elems), len(want.Elems))
		}
		for i := range want.Elems {
			if err := same(got.Elems[i], want.Elems[i]); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		return nil
	}
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("got %s, want %s", got.Type(), want.Type())
	}
	if want.DType == graph.String {
		for i, s := range want.Strings {
			if got.Strings[i] != s {
				return fmt.Errorf("element %d: got %q, want %q", i, got.Strings[i], s)
			}
		}
		return nil
	}
	if !want.DType.IsFloat() {
		return sameInts(got, want)
	}
	g, err := float64s(got)
	if err != nil {
		return err
	}
	w, err := float64s(want)
	if err != nil {
		return err
	}
	wrong, first := 0, -1
	for i := range w {
		if g[i] == w[i] || g[i] != g[i] && w[i] != w[i] || math.Abs(g[i]-w[i]) <= absolute+relative*math.Abs(w[i]) {
			continue
		}
		if wrong++; first < 0 {
			first = i
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d elements differ, the first at %d: got %v, want %v", wrong, len(w), first, g[first], w[first])
	}
	return nil
}

func sameInts(got, want *graph.Tensor) error {
	g, err := got.Int64s()
	if err != nil {
		return err
	}
	w, err := want.Int64s()
	if err != nil {
		return err
	}
	for i := range w {
		if g[i] != w[i] {
			return fmt.Errorf("element %d: got %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}

func float64s(t *graph.Tensor) ([]float64, error) {
	if t.DType == graph.Float64 {
		return graph.View[float64](t), nil
	}
	v, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out, nil
}
