package graph

import (
	"bytes"
	"fmt"
	"io"
)

// Tensor is data in host memory: little-endian elements in row-major order,
// packed types low bits first, as ONNX's raw_data. A weight's Data may be part
// of a mapped file and must not be written. A sequence or optional carries its
// tensors in Elems instead.
type Tensor struct {
	Kind    Kind
	DType   DType
	Shape   []int64
	Data    []byte
	Strings []string  // elements of a String tensor
	Elems   []*Tensor // elements of a sequence; none or one of an optional
	Source  *Range    // where a weight lies on disk; nil for computed data
	Later   *Later    // a weight that is computed when it is written; Data is nil then
	Of      *Tensor   // the weight that it is made of, in another type of float; nil: none
}

// Later is the data of a weight that is computed when it is written to a file, so
// that a model larger than memory can be converted. A graph with such weights can
// be placed, cut and saved, and run once they are made, see [Tensor.Make]. Tensors over
// one Later hold the same bytes and are stored once.
type Later struct {
	Size  int64                   // bytes
	Write func(w io.Writer) error // writes all of them, as often as it is called
}

// Make computes the data of a tensor that has them later, in memory.
func (t *Tensor) Make() error {
	data, err := t.Contents()
	if err != nil {
		return err
	}
	t.Data, t.Later = data, nil
	return nil
}

// Contents returns t's data, computed now where it has them later; t stays as it is.
func (t *Tensor) Contents() ([]byte, error) {
	if t.Later == nil {
		return t.Data, nil
	}
	b := bytes.NewBuffer(make([]byte, 0, t.Later.Size))
	if err := t.Later.Write(b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Size returns the bytes of t's data, also where it is computed later.
func (t *Tensor) Size() int64 {
	if t.Later != nil {
		return t.Later.Size
	}
	return int64(len(t.Data))
}

// DataKey tells the data of constants apart: by its place in a file, by what computes it,
// or by where it lies. Constants with equal keys hold the same bytes, and a memory holds
// them once.
func (t *Tensor) DataKey() any {
	switch {
	case t.Source != nil:
		return *t.Source
	case t.Later != nil:
		return t.Later
	case len(t.Data) > 0:
		return &t.Data[0]
	}
	return t
}

// Range is a stretch of a file.
type Range struct {
	File           string // as the model names it, beneath its folder
	Offset, Length int64  // bytes
}

// A single tensor that is computed on the host is bounded, so that a hostile shape
// is refused instead of allocated. The largest that models need are logits: 4,096
// tokens of a vocabulary of 151,936 in float32 are 2.5 GB.
const (
	MaxElements = 1 << 32
	MaxBytes    = 4 << 30
)

// Elements returns the product of the extents, checked: a negative extent or a
// product beyond int64 is an error that shows the shape.
func Elements(shape []int64) (int64, error) {
	n := int64(1)
	zero := false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative extent", shape)
		}
		if d == 0 {
			zero = true
			continue
		}
		p, ok := CheckedMul(n, d)
		if !ok {
			return 0, fmt.Errorf("shape %v has more elements than fit in 64 bits", shape)
		}
		n = p
	}
	if zero {
		return 0, nil
	}
	return n, nil
}

// NewTensor allocates a zeroed tensor. Shapes beyond MaxElements or MaxBytes are
// ErrLimit.
func NewTensor(d DType, shape ...int64) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if n > MaxElements {
		return nil, fmt.Errorf("%w: shape %v has %d elements, the limit is %d", ErrLimit, shape, n, int64(MaxElements))
	}
	t := &Tensor{DType: d, Shape: append([]int64{}, shape...)}
	if d == String {
		t.Strings = make([]string, n)
		return t, nil
	}
	size, ok := d.Bytes(n)
	if !ok || size > MaxBytes {
		return nil, fmt.Errorf("%w: shape %v of %s needs %d bytes, the limit is %d", ErrLimit, shape, d, size, int64(MaxBytes))
	}
	t.Data = make([]byte, size)
	return t, nil
}

// Number is a Go type that stores one element of a DType without conversion.
type Number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// FromSlice builds a tensor of dtype d over a copy of v, which must hold as
// many elements as the shape says (no shape: a vector).
func FromSlice[T Number](d DType, v []T, shape ...int64) *Tensor {
	if shape == nil {
		shape = []int64{int64(len(v))}
	}
	n, err := Elements(shape)
	if err != nil || n != int64(len(v)) {
		panic(fmt.Sprintf("graph: invariant: FromSlice of %d elements with shape %v", len(v), shape))
	}
	return &Tensor{DType: d, Shape: append([]int64{}, shape...), Data: append([]byte{}, bytesOf(v)...)}
}

// Floats returns a float32 tensor over a copy of v.
func Floats(v []float32, shape ...int64) *Tensor { return FromSlice(Float32, v, shape...) }

// Ints returns an int64 tensor over a copy of v.
func Ints(v []int64, shape ...int64) *Tensor { return FromSlice(Int64, v, shape...) }

// Scalar returns an int64 tensor without extents.
func Scalar(v int64) *Tensor { return FromSlice(Int64, []int64{v}, []int64{}...).reshaped() }

func (t *Tensor) reshaped() *Tensor { t.Shape = []int64{}; return t }

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return int(n)
}

// Type returns the tensor's concrete type.
func (t *Tensor) Type() Type {
	if t.Kind != TensorKind {
		typ := Type{Kind: t.Kind}
		if len(t.Elems) > 0 {
			e := t.Elems[0].Type()
			typ.Elem = &Type{DType: e.DType}
		}
		return typ
	}
	s := make(Shape, len(t.Shape))
	for i, d := range t.Shape {
		s[i] = Const(d)
	}
	return Type{DType: t.DType, Shape: s}
}

// Flat is Type.Flat of the tensor's type.
func (t *Tensor) Flat() bool { return t.Kind == TensorKind && t.DType != String }

// Reshape returns a tensor over the same data; the element count must match.
func (t *Tensor) Reshape(shape ...int64) *Tensor {
	u := *t
	u.Shape = append([]int64{}, shape...)
	if u.Len() != t.Len() {
		panic(fmt.Sprintf("graph: invariant: reshape %v to %v", t.Shape, shape))
	}
	return &u
}

// Int64s returns the elements of an integer or bool tensor as int64, for
// shapes, axes and indexes.
func (t *Tensor) Int64s() ([]int64, error) {
	out := make([]int64, t.Len())
	switch t.DType {
	case Int64:
		copy(out, View[int64](t))
	case Int32:
		widen(out, View[int32](t))
	case Int16:
		widen(out, View[int16](t))
	case Int8:
		widen(out, View[int8](t))
	case Uint8, Bool:
		widen(out, View[uint8](t))
	case Uint16:
		widen(out, View[uint16](t))
	case Uint32:
		widen(out, View[uint32](t))
	case Uint64:
		widen(out, View[uint64](t))
	case Int4, Uint4, Int2, Uint2:
		for i := range out {
			out[i] = t.packed(i)
		}
	default:
		return nil, fmt.Errorf("%w: %s tensor where integers are needed", ErrType, t.DType)
	}
	return out, nil
}

func widen[T Number](out []int64, in []T) {
	for i, v := range in {
		out[i] = int64(v)
	}
}

// packed returns element i of a 4- or 2-bit integer tensor.
func (t *Tensor) packed(i int) int64 {
	bits := t.DType.Bits()
	per := 8 / bits
	v := int64(t.Data[i/per]>>(uint(i%per)*uint(bits))) & (1<<bits - 1)
	if (t.DType == Int4 || t.DType == Int2) && v >= 1<<(bits-1) {
		v -= 1 << bits
	}
	return v
}

// Float64s returns the elements of a tensor of numbers or bools as float64, exact
// but for integers beyond 2^53. For a Float64 tensor it is a view, not a copy.
func (t *Tensor) Float64s() ([]float64, error) {
	if t.DType == Float64 {
		return View[float64](t), nil
	}
	out := make([]float64, t.Len())
	if t.DType.IsFloat() {
		v, err := t.Float32s()
		for i, x := range v {
			out[i] = float64(x)
		}
		return out, err
	}
	v, err := t.Int64s()
	for i, x := range v {
		out[i] = float64(x)
		if t.DType == Uint64 {
			out[i] = float64(uint64(x))
		}
	}
	return out, err
}

// Float32s returns the elements of any numeric tensor as float32, rounding
// float64 and wide integers. For a Float32 tensor it is a view, not a copy.
func (t *Tensor) Float32s() ([]float32, error) {
	if t.DType == Float32 {
		return View[float32](t), nil
	}
	out := make([]float32, t.Len())
	switch t.DType {
	case Float16:
		for i, v := range View[uint16](t) {
			out[i] = F16ToF32(v)
		}
	case BFloat16:
		for i, v := range View[uint16](t) {
			out[i] = BF16ToF32(v)
		}
	case Float64:
		for i, v := range View[float64](t) {
			out[i] = float32(v)
		}
	case Float8E4M3FN, Float8E4M3UZ, Float8E5M2, Float8E5M2UZ, Float8E8M0:
		for i, v := range t.Data {
			out[i] = F8ToF32(t.DType, v)
		}
	case Float4E2M1:
		for i := range out {
			out[i] = f4ToF32(t.Data[i/2] >> (uint(i%2) * 4) & 15)
		}
	default:
		ints, err := t.Int64s()
		if err != nil {
			return nil, fmt.Errorf("%w: %s tensor where numbers are needed", ErrType, t.DType)
		}
		for i, v := range ints {
			if t.DType == Uint64 {
				out[i] = float32(uint64(v))
				continue
			}
			out[i] = float32(v)
		}
	}
	return out, nil
}

// SetFloat32s stores v, rounded to the tensor's own floating-point dtype
// (round to nearest even).
func (t *Tensor) SetFloat32s(v []float32) error {
	switch t.DType {
	case Float32:
		copy(View[float32](t), v)
	case Float16:
		out := View[uint16](t)
		for i, x := range v {
			out[i] = F32ToF16(x)
		}
	case BFloat16:
		out := View[uint16](t)
		for i, x := range v {
			out[i] = F32ToBF16(x)
		}
	case Float64:
		out := View[float64](t)
		for i, x := range v {
			out[i] = float64(x)
		}
	default:
		return fmt.Errorf("%w: floats cannot be stored in a %s tensor", ErrType, t.DType)
	}
	return nil
}
