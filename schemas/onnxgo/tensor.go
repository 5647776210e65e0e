package onnxgo

import (
	"fmt"

	"gorgonia.org/tensor"

	"mnnconv/graph"
)

// toGraph copies a tensor of gorgonia.
func toGraph(t tensor.Tensor) (*graph.Tensor, error) {
	if d, ok := t.(*tensor.Dense); ok && (d.RequiresIterator() || d.DataOrder().IsColMajor()) {
		m := d.Materialize() // a view or a transpose becomes row-major
		if _, ok := m.(*tensor.Dense); !ok {
			return nil, fmt.Errorf("a tensor of type %T cannot be read", m)
		}
		t = m
	}
	shape := make([]int64, len(t.Shape()))
	for i, n := range t.Shape() {
		shape[i] = int64(n)
	}
	switch v := t.Data().(type) {
	case float32:
		return of(graph.Float32, []float32{v}, shape)
	case []float32:
		return of(graph.Float32, v, shape)
	case float64:
		return of(graph.Float64, []float64{v}, shape)
	case []float64:
		return of(graph.Float64, v, shape)
	case int8:
		return of(graph.Int8, []int8{v}, shape)
	case []int8:
		return of(graph.Int8, v, shape)
	case int16:
		return of(graph.Int16, []int16{v}, shape)
	case []int16:
		return of(graph.Int16, v, shape)
	case int32:
		return of(graph.Int32, []int32{v}, shape)
	case []int32:
		return of(graph.Int32, v, shape)
	case int64:
		return of(graph.Int64, []int64{v}, shape)
	case []int64:
		return of(graph.Int64, v, shape)
	case int:
		return of(graph.Int64, []int64{int64(v)}, shape)
	case []int:
		wide := make([]int64, len(v))
		for i, n := range v {
			wide[i] = int64(n)
		}
		return of(graph.Int64, wide, shape)
	case uint8:
		return of(graph.Uint8, []uint8{v}, shape)
	case []uint8:
		return of(graph.Uint8, v, shape)
	case uint16:
		return of(graph.Uint16, []uint16{v}, shape)
	case []uint16:
		return of(graph.Uint16, v, shape)
	case uint32:
		return of(graph.Uint32, []uint32{v}, shape)
	case []uint32:
		return of(graph.Uint32, v, shape)
	case uint64:
		return of(graph.Uint64, []uint64{v}, shape)
	case []uint64:
		return of(graph.Uint64, v, shape)
	case bool:
		return of(graph.Bool, bytesOf([]bool{v}), shape)
	case []bool:
		return of(graph.Bool, bytesOf(v), shape)
	}
	return nil, fmt.Errorf("elements of %s have no ONNX type here", t.Dtype())
}

func of[T graph.Number](d graph.DType, v []T, shape []int64) (*graph.Tensor, error) {
	n, err := graph.Elements(shape)
	if err != nil {
		return nil, err
	}
	if n > int64(len(v)) {
		return nil, fmt.Errorf("%d elements for shape %v", len(v), shape)
	}
	return graph.FromSlice(d, v[:n], shape...), nil
}

func bytesOf(v []bool) []uint8 {
	out := make([]uint8, len(v))
	for i, b := range v {
		if b {
			out[i] = 1
		}
	}
	return out
}

// fromGraph copies a tensor for gorgonia, which has no 16-bit floats: they become
// float32.
func fromGraph(t *graph.Tensor) (tensor.Tensor, error) {
	shape := make([]int, len(t.Shape))
	for i, n := range t.Shape {
		shape[i] = int(n)
	}
	var data any
	switch t.DType {
	case graph.Float32, graph.Float16, graph.BFloat16:
		v, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		data = append([]float32{}, v...)
	case graph.Float64:
		data = append([]float64{}, graph.View[float64](t)...)
	case graph.Int8:
		data = append([]int8{}, graph.View[int8](t)...)
	case graph.Int16:
		data = append([]int16{}, graph.View[int16](t)...)
	case graph.Int32:
		data = append([]int32{}, graph.View[int32](t)...)
	case graph.Int64:
		data = append([]int64{}, graph.View[int64](t)...)
	case graph.Uint8:
		data = append([]uint8{}, t.Data...)
	case graph.Uint16:
		data = append([]uint16{}, graph.View[uint16](t)...)
	case graph.Uint32:
		data = append([]uint32{}, graph.View[uint32](t)...)
	case graph.Uint64:
		data = append([]uint64{}, graph.View[uint64](t)...)
	case graph.Bool:
		v := make([]bool, len(t.Data))
		for i, b := range t.Data {
			v[i] = b != 0
		}
		data = v
	default:
		return nil, fmt.Errorf("gorgonia has no type for %s", t.Type())
	}
	if len(shape) == 0 {
		return tensor.New(tensor.FromScalar(first(data))), nil
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data)), nil
}

// first returns the one element of a slice.
func first(data any) any {
	switch v := data.(type) {
	case []float32:
		return v[0]
	case []float64:
		return v[0]
	case []int8:
		return v[0]
	case []int16:
		return v[0]
	case []int32:
		return v[0]
	case []int64:
		return v[0]
	case []uint8:
		return v[0]
	case []uint16:
		return v[0]
	case []uint32:
		return v[0]
	case []uint64:
		return v[0]
	}
	return data.([]bool)[0]
}
