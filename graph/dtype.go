package graph

import (
	"fmt"
	"math"
)

// DType is an element type. The numbers are those of ONNX's
// TensorProto.DataType, so that a file's field needs no table.
type DType uint8

// The element types of ONNX through opset 27.
const (
	Undefined    DType = 0
	Float32      DType = 1
	Uint8        DType = 2
	Int8         DType = 3
	Uint16       DType = 4
	Int16        DType = 5
	Int32        DType = 6
	Int64        DType = 7
	String       DType = 8
	Bool         DType = 9
	Float16      DType = 10
	Float64      DType = 11
	Uint32       DType = 12
	Uint64       DType = 13
	Complex64    DType = 14
	Complex128   DType = 15
	BFloat16     DType = 16
	Float8E4M3FN DType = 17
	Float8E4M3UZ DType = 18
	Float8E5M2   DType = 19
	Float8E5M2UZ DType = 20
	Uint4        DType = 21
	Int4         DType = 22
	Float4E2M1   DType = 23
	Float8E8M0   DType = 24
	Uint2        DType = 25
	Int2         DType = 26
	lastDType          = Int2
)

var dtypes = [lastDType + 1]struct {
	name string
	bits int
}{
	Undefined: {"undefined", 0}, Float32: {"float32", 32}, Uint8: {"uint8", 8}, Int8: {"int8", 8},
	Uint16: {"uint16", 16}, Int16: {"int16", 16}, Int32: {"int32", 32}, Int64: {"int64", 64},
	String: {"string", 0}, Bool: {"bool", 8}, Float16: {"float16", 16}, Float64: {"float64", 64},
	Uint32: {"uint32", 32}, Uint64: {"uint64", 64}, Complex64: {"complex64", 64}, Complex128: {"complex128", 128},
	BFloat16: {"bfloat16", 16}, Float8E4M3FN: {"float8e4m3fn", 8}, Float8E4M3UZ: {"float8e4m3fnuz", 8},
	Float8E5M2: {"float8e5m2", 8}, Float8E5M2UZ: {"float8e5m2fnuz", 8}, Uint4: {"uint4", 4}, Int4: {"int4", 4},
	Float4E2M1: {"float4e2m1", 4}, Float8E8M0: {"float8e8m0", 8}, Uint2: {"uint2", 2}, Int2: {"int2", 2},
}

// Valid reports whether d is a known element type other than Undefined.
func (d DType) Valid() bool { return d > Undefined && d <= lastDType }

// String returns the lower-case ONNX name, such as "float16".
func (d DType) String() string {
	if d > lastDType {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

// ParseDType is the inverse of String.
func ParseDType(name string) (DType, bool) {
	for i, d := range dtypes {
		if d.name == name && i != 0 {
			return DType(i), true
		}
	}
	return Undefined, false
}

// Bits returns the width of one element: below 8 for packed types, 0 for strings.
func (d DType) Bits() int {
	if d > lastDType {
		return 0
	}
	return dtypes[d].bits
}

// Bytes returns the storage of n elements, packed types rounded up to whole
// bytes, as ONNX stores them in raw_data. ok is false if n is negative or the
// product does not fit an int64.
func (d DType) Bytes(n int64) (size int64, ok bool) {
	bits := int64(d.Bits())
	if n < 0 {
		return 0, false
	}
	if bits >= 8 {
		return CheckedMul(n, bits/8)
	}
	if bits == 0 {
		return 0, true
	}
	per := 8 / bits
	return n/per + min(1, n%per), true
}

// IsFloat reports whether d is a floating-point type of any width.
func (d DType) IsFloat() bool {
	switch d {
	case Float32, Float64, Float16, BFloat16, Float8E4M3FN, Float8E4M3UZ, Float8E5M2, Float8E5M2UZ, Float8E8M0, Float4E2M1:
		return true
	}
	return false
}

// IsInt reports whether d is an integer type of any width, signed or not.
func (d DType) IsInt() bool {
	switch d {
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Int4, Uint4, Int2, Uint2:
		return true
	}
	return false
}

// Largest returns the largest finite number of a float dtype of 16 bits or more; 0 of
// other dtypes.
func (d DType) Largest() float64 {
	switch d {
	case Float16:
		return 65504
	case BFloat16:
		return 0x1.fep127
	case Float32:
		return math.MaxFloat32
	case Float64:
		return math.MaxFloat64
	}
	return 0
}

// CheckedMul multiplies two non-negative sizes; ok is false if either is
// negative or the product overflows. Every size that comes from a file goes
// through it before memory is allocated.
func CheckedMul(a, b int64) (int64, bool) {
	if a < 0 || b < 0 {
		return 0, false
	}
	if a == 0 || b == 0 {
		return 0, true
	}
	p := a * b
	return p, p/b == a && p > 0
}
