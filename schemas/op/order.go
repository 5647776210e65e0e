package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// orderKeys returns one key an element whose unsigned order is the order of
// the elements. Both zeros are equal; a NaN is above all numbers and equal to
// any other NaN, as in NumPy's sort.
func orderKeys(t *graph.Tensor) ([]uint64, error) {
	keys := make([]uint64, t.Len())
	switch {
	case t.DType == graph.Float64:
		for i, v := range graph.View[float64](t) {
			keys[i] = floatKey(v)
		}
	case isReal(t.DType):
		v, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		for i, f := range v {
			keys[i] = floatKey(float64(f))
		}
	case isInteger(t.DType) || t.DType == graph.Bool:
		v, err := t.Int64s()
		if err != nil {
			return nil, err
		}
		flip := uint64(1 << 63)
		if t.DType == graph.Uint64 {
			flip = 0
		}
		for i, n := range v {
			keys[i] = uint64(n) ^ flip
		}
	default:
		return nil, fmt.Errorf("ordering %s is %w", t.DType, ErrUnsupported)
	}
	return keys, nil
}

func floatKey(f float64) uint64 {
	switch {
	case f != f:
		return math.MaxUint64
	case f == 0:
		return 1 << 63 // of either sign
	}
	b := math.Float64bits(f)
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}
