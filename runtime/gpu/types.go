package gpu

import "mnnconv/graph"

// What kernels know of values, for lowerings.

// isFloat reports whether kernels compute with the type.
func isFloat(d graph.DType) bool {
	return d == graph.Float32 || d == graph.Float16 || d == graph.BFloat16
}

// isInteger reports whether kernels compute with the type, in 64 bits.
func isInteger(d graph.DType) bool {
	switch d {
	case graph.Int64, graph.Int32, graph.Int16, graph.Int8, graph.Uint32, graph.Uint16, graph.Uint8:
		return true
	}
	return false
}

// areFloats reports whether all values are ranked tensors of one float type.
func areFloats(values ...*graph.Value) bool {
	for _, v := range values {
		if !isTensor(v) || !isFloat(v.Type.DType) || v.Type.DType != values[0].Type.DType {
			return false
		}
	}
	return true
}

// anyFloats reports whether all values are ranked tensors of float types; absent ones
// count.
func anyFloats(values ...*graph.Value) bool {
	for _, v := range values {
		if v != nil && (!isTensor(v) || !isFloat(v.Type.DType)) {
			return false
		}
	}
	return true
}

// isTensor reports whether a value is there and is a tensor whose rank kernels take.
func isTensor(v *graph.Value) bool {
	return v != nil && v.Type.Kind == graph.TensorKind && v.Type.Shape.Ranked() && len(v.Type.Shape) <= maxAxes
}

// isMovable reports whether a value is a tensor whose elements are whole bytes.
func isMovable(v *graph.Value) bool {
	return isTensor(v) && (v.Type.DType.Bits() == 8 || v.Type.DType.Bits() == 16 || v.Type.DType.Bits() == 32 || v.Type.DType.Bits() == 64)
}

// isIndex reports whether a value is a tensor of indexes.
func isIndex(v *graph.Value) bool {
	return isTensor(v) && (v.Type.DType == graph.Int64 || v.Type.DType == graph.Int32)
}

// axisOf counts a negative axis from the end; ok is false if there is none.
func axisOf(axis int64, rank int) (int, bool) {
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), axis >= 0 && axis < int64(rank)
}

// around returns the product of the extents before an axis and of those behind it.
func around(shape []int64, axis int) (outer, inner int) {
	outer, inner = 1, 1
	for i, d := range shape {
		switch {
		case i < axis:
			outer *= int(d)
		case i > axis:
			inner *= int(d)
		}
	}
	return outer, inner
}

// constants returns the elements of an integer constant; ok is false if v is none.
func constants(v *graph.Value) ([]int64, bool) {
	if v == nil || v.Const == nil {
		return nil, false
	}
	x, err := v.Const.Int64s()
	return x, err == nil
}

// bytesOf is the size of an element.
func bytesOf(d graph.DType) int { return d.Bits() / 8 }

// typeOf is a dtype as kernels number them.
func typeOf(t *Tensor) int {
	if t == nil {
		return 0
	}
	return int(t.DType)
}
