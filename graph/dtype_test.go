package graph

import (
	"math"
	"testing"
)

func TestDTypes(t *testing.T) {
	for d := Undefined; d <= lastDType+1; d++ {
		name := d.String()
		back, ok := ParseDType(name)
		if valid := d.Valid(); ok != valid || valid && back != d {
			t.Errorf("%s parses to %s, %v", name, back, ok)
		}
		if d.IsFloat() && d.IsInt() {
			t.Errorf("%s is both float and integer", d)
		}
	}
	if got := DType(200).String(); got != "dtype(200)" || DType(200).Bits() != 0 {
		t.Errorf("unknown dtype is %s of %d bits", got, DType(200).Bits())
	}
}

// Behind the largest number's bits come those of infinity.
func TestLargest(t *testing.T) {
	for d, want := range map[DType]float64{
		Float16: float64(F16ToF32(0x7bff)), BFloat16: float64(BF16ToF32(0x7f7f)), Float32: float64(math.Float32frombits(0x7f7fffff)),
		Float64: math.Float64frombits(0x7fefffffffffffff), Int8: 0, String: 0,
	} {
		if got := d.Largest(); got != want {
			t.Errorf("%s: %v, want %v", d, got, want)
		}
	}
}

func TestDTypeBytes(t *testing.T) {
	for _, k := range []struct {
		d    DType
		n    int64
		want int64
		ok   bool
	}{
		{Float32, 3, 12, true}, {Float16, 0, 0, true}, {Complex128, 2, 32, true}, {Bool, 5, 5, true}, {String, 9, 0, true},
		{Int4, 0, 0, true}, {Int4, 1, 1, true}, {Int4, 2, 1, true}, {Uint4, 3, 2, true}, {Float4E2M1, 5, 3, true},
		{Int2, 4, 1, true}, {Uint2, 5, 2, true},
		{Float32, -1, 0, false}, {Int4, -1, 0, false},
		{Float32, math.MaxInt64 / 4, math.MaxInt64 / 4 * 4, true}, {Float32, math.MaxInt64/4 + 1, 0, false},
		{Float64, 1 << 61, 0, false}, {Float64, math.MaxInt64, 0, false},
		{Int4, math.MaxInt64, 1 << 62, true}, {Int8, math.MaxInt64, math.MaxInt64, true},
	} {
		got, ok := k.d.Bytes(k.n)
		if ok != k.ok || ok && got != k.want {
			t.Errorf("%d × %s: got %d, %v, want %d, %v", k.n, k.d, got, ok, k.want, k.ok)
		}
	}
}

func TestCheckedMul(t *testing.T) {
	for _, k := range []struct {
		a, b, want int64
		ok         bool
	}{
		{6, 7, 42, true}, {0, math.MaxInt64, 0, true}, {math.MaxInt64, 0, 0, true}, {1, math.MaxInt64, math.MaxInt64, true},
		{1 << 31, 1 << 31, 1 << 62, true}, {1 << 32, 1 << 31, 0, false}, {1 << 32, 1 << 32, 0, false},
		{3037000500, 3037000500, 0, false}, {-1, 1, 0, false}, {1, -1, 0, false},
	} {
		got, ok := CheckedMul(k.a, k.b)
		if ok != k.ok || ok && got != k.want {
			t.Errorf("%d × %d: got %d, %v, want %d, %v", k.a, k.b, got, ok, k.want, k.ok)
		}
	}
}
