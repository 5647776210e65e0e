package graph

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestElements(t *testing.T) {
	for _, k := range []struct {
		shape []int64
		want  int64
		err   string
	}{
		{nil, 1, ""}, {[]int64{}, 1, ""}, {[]int64{3, 4}, 12, ""}, {[]int64{3, 0, 4}, 0, ""},
		{[]int64{-1}, 0, "negative extent"}, {[]int64{0, -1}, 0, "negative extent"},
		{[]int64{1 << 32, 1 << 31}, 0, "more elements than fit"},
		{[]int64{0, math.MaxInt64, math.MaxInt64}, 0, "more elements than fit"},
	} {
		got, err := Elements(k.shape)
		if k.err == "" && (err != nil || got != k.want) || k.err != "" && (err == nil || !strings.Contains(err.Error(), k.err)) {
			t.Errorf("%v: got %d, %v, want %d, %q", k.shape, got, err, k.want, k.err)
		}
	}
}

func TestNewTensor(t *testing.T) {
	x, err := NewTensor(Int4, 3, 3)
	if err != nil || len(x.Data) != 5 || x.Len() != 9 || !slices.Equal(x.Shape, []int64{3, 3}) {
		t.Errorf("got %+v, %v", x, err)
	}
	if x, err := NewTensor(Float64); err != nil || len(x.Data) != 8 || x.Shape == nil {
		t.Errorf("scalar: got %+v, %v", x, err)
	}
	if x, err := NewTensor(String, 2); err != nil || len(x.Strings) != 2 || x.Data != nil {
		t.Errorf("strings: got %+v, %v", x, err)
	}
	for _, shape := range [][]int64{{-1}, {MaxElements, 2}, {1 << 40, 1 << 40}} {
		if x, err := NewTensor(Int2, shape...); err == nil {
			t.Errorf("%v: got %s", shape, x.Type())
		}
	}
}

// TestTensorLimit has tensors larger than any may be told from others.
func TestTensorLimit(t *testing.T) {
	for _, shape := range [][]int64{{MaxElements, 2}, {MaxElements}} {
		if _, err := NewTensor(Complex128, shape...); !errors.Is(err, ErrLimit) {
			t.Errorf("%v: %v", shape, err)
		}
	}
}

// TestTensorNumbers reads every dtype that has numbers.
func TestTensorNumbers(t *testing.T) {
	half := func(v ...float32) []byte {
		var u []uint16
		for _, f := range v {
			u = append(u, F32ToF16(f))
		}
		return bytesOf(u)
	}
	for _, k := range []struct {
		d      DType
		data   []byte
		ints   []int64
		floats []float32
	}{
		{Int64, bytesOf([]int64{0, 1, -1, 1 << 40}), []int64{0, 1, -1, 1 << 40}, []float32{0, 1, -1, 1 << 40}},
		{Int32, bytesOf([]int32{0, 1, -1, 3}), []int64{0, 1, -1, 3}, []float32{0, 1, -1, 3}},
		{Int16, bytesOf([]int16{0, 1, -1, 3}), []int64{0, 1, -1, 3}, []float32{0, 1, -1, 3}},
		{Int8, bytesOf([]int8{0, 1, -1, 3}), []int64{0, 1, -1, 3}, []float32{0, 1, -1, 3}},
		{Uint64, bytesOf([]uint64{0, 1, 1 << 63, 3}), []int64{0, 1, math.MinInt64, 3}, []float32{0, 1, 1 << 63, 3}},
		{Uint32, bytesOf([]uint32{0, 1, 1<<32 - 1, 3}), []int64{0, 1, 1<<32 - 1, 3}, []float32{0, 1, 1 << 32, 3}},
		{Uint16, bytesOf([]uint16{0, 1, 65535, 3}), []int64{0, 1, 65535, 3}, []float32{0, 1, 65535, 3}},
		{Uint8, []byte{0, 1, 255, 3}, []int64{0, 1, 255, 3}, []float32{0, 1, 255, 3}},
		{Bool, []byte{0, 1, 1, 0}, []int64{0, 1, 1, 0}, []float32{0, 1, 1, 0}},
		{Int4, []byte{0x10, 0x7f, 0x08}, []int64{0, 1, -1, 7, -8}, []float32{0, 1, -1, 7, -8}},
		{Uint4, []byte{0x10, 0x7f, 0x08}, []int64{0, 1, 15, 7, 8}, []float32{0, 1, 15, 7, 8}},
		{Int2, []byte{0b10_11_01_00, 0b01}, []int64{0, 1, -1, -2, 1}, []float32{0, 1, -1, -2, 1}},
		{Uint2, []byte{0b10_11_01_00, 0b01}, []int64{0, 1, 3, 2, 1}, []float32{0, 1, 3, 2, 1}},
		{Float32, bytesOf([]float32{0, 1, -1, 0.1}), nil, []float32{0, 1, -1, 0.1}},
		{Float64, bytesOf([]float64{0, 1, -1, 0.1}), nil, []float32{0, 1, -1, 0.1}},
		{Float16, half(0, 1, -1, 0.1), nil, []float32{0, 1, -1, 0.099975586}},
		{BFloat16, bytesOf([]uint16{0, 0x3f80, 0xbf80, 0x3dcd}), nil, []float32{0, 1, -1, 0.10009765625}},
		{Float8E4M3FN, []byte{0, 0x38, 0xb8, 0x7e}, nil, []float32{0, 1, -1, 448}},
		{Float8E8M0, []byte{127, 128}, nil, []float32{1, 2}},
		{Float4E2M1, []byte{0x20, 0x7a, 0x0f}, nil, []float32{0, 1, -1, 6, -6}},
		{Complex64, make([]byte, 8), nil, nil},
	} {
		x := &Tensor{DType: k.d, Shape: []int64{int64(max(len(k.ints), len(k.floats)))}, Data: k.data}
		ints, err := x.Int64s()
		if !slices.Equal(ints, k.ints) || (err == nil) != (k.ints != nil) {
			t.Errorf("%s: got %v, %v, want %v", k.d, ints, err, k.ints)
		}
		floats, err := x.Float32s()
		if !slices.Equal(floats, k.floats) || (err == nil) != (k.floats != nil) {
			t.Errorf("%s: got %v, %v, want %v", k.d, floats, err, k.floats)
		}
	}
}

func TestSetFloat32s(t *testing.T) {
	in := []float32{0, 1, -1, 0.1}
	for d, want := range map[DType][]float32{
		Float32: in, Float64: in, Float16: {0, 1, -1, 0.099975586}, BFloat16: {0, 1, -1, 0.10009765625},
	} {
		x, err := NewTensor(d, 4)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.SetFloat32s(in); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Float32s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", d, got, err, want)
		}
	}
	if err := Ints([]int64{1}).SetFloat32s([]float32{1}); err == nil {
		t.Error("stored floats in an int64 tensor")
	}
}

func TestViews(t *testing.T) {
	x := Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	View[float32](x)[4] = 50
	if y := x.Reshape(3, 2); View[float32](y)[4] != 50 || !slices.Equal(y.Shape, []int64{3, 2}) || !slices.Equal(x.Shape, []int64{2, 3}) {
		t.Errorf("reshaped: %v %v", y.Shape, View[float32](y))
	}
	if f, _ := x.Float32s(); &f[0] != &View[float32](x)[0] {
		t.Error("Float32s of a float32 tensor is a copy")
	}
	raw := []byte{9, 1, 0, 2, 0, 3}
	if got := ViewBytes[uint16](raw[1:]); !slices.Equal(got, []uint16{1, 2}) {
		t.Errorf("unaligned bytes with a rest: got %v", got)
	}
	if View[int64](Ints(nil)) != nil || ViewBytes[int64](raw) != nil {
		t.Error("no elements: got a slice")
	}
	if s := Scalar(7); s.Len() != 1 || s.Shape == nil || len(s.Shape) != 0 || View[int64](s)[0] != 7 {
		t.Errorf("scalar: got %+v", s)
	}
	in := []int64{1, 2}
	if x := Ints(in); !bytes.Equal(x.Data, bytesOf([]int64{1, 2})) || &View[int64](x)[0] == &in[0] {
		t.Error("Ints does not copy")
	}
	for name, f := range map[string]func(){
		"view of another width": func() { View[float64](x) },
		"view of packed data":   func() { View[uint8](&Tensor{DType: Int4, Shape: []int64{2}, Data: []byte{0}}) },
		"reshape to more":       func() { x.Reshape(7) },
		"slice of another size": func() { Floats([]float32{1}, 2) },
		"negative shape":        func() { Floats(nil, -1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestTensorType(t *testing.T) {
	for want, x := range map[string]*Tensor{
		"float32[2, 3]":         Floats(make([]float32, 6), 2, 3),
		"int64[]":               Scalar(1),
		"sequence":              {Kind: SequenceKind},
		"optional(float32[?])":  {Kind: OptionalKind, Elems: []*Tensor{Floats([]float32{1})}},
		"sequence(string[?])":   {Kind: SequenceKind, Elems: []*Tensor{{DType: String}, {DType: String, Shape: []int64{2}}}},
		"bfloat16[0, 9223, 1]":  {DType: BFloat16, Shape: []int64{0, 9223, 1}},
		"float8e4m3fnuz[1, 10]": {DType: Float8E4M3UZ, Shape: []int64{1, 10}},
	} {
		if got := x.Type().String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
