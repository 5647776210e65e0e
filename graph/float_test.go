package graph

import (
	"math"
	"testing"
)

// refF16 is binary16 by the definition: 11 significant bits, exponents from
// -14, multiples of 2^-24 below.
func refF16(f float64) uint16 {
	sign := uint16(0)
	if math.Signbit(f) {
		sign, f = 0x8000, -f
	}
	switch {
	case f >= 65520:
		return sign | 0x7c00
	case f < 0x1p-14:
		return sign | uint16(math.RoundToEven(f*0x1p24))
	}
	e := math.Ilogb(f)
	significand := math.RoundToEven(math.Ldexp(f, 10-e)) // 1024 to 2048
	return sign | uint16(float64((e+14)<<10)+significand)
}

func f16(h uint16) float64 {
	e, m := int(h>>10&31), float64(h&1023)
	f := math.Ldexp(m, -24)
	switch {
	case e == 31 && m == 0:
		f = math.Inf(1)
	case e == 31:
		f = math.NaN()
	case e > 0:
		f = math.Ldexp(1024+m, e-25)
	}
	if h&0x8000 != 0 {
		f = -f
	}
	return f
}

// TestF16 widens every half and rounds it back.
func TestF16(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := float64(F16ToF32(h)), f16(h)
		if math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%#04x widens to %v, want %v", h, got, want)
		}
		back := h
		if math.IsNaN(want) {
			back |= 0x200 // quiet
		}
		if r := F32ToF16(F16ToF32(h)); r != back {
			t.Fatalf("%#04x comes back as %#04x", h, r)
		}
	}
}

// TestF32ToF16Midpoints rounds the middle of every two neighbours, and the
// floats on both sides of it.
func TestF32ToF16Midpoints(t *testing.T) {
	for i := range 0x7c00 {
		h := uint16(i)
		upper := f16(h + 1)
		if h+1 == 0x7c00 {
			upper = 65536 // what follows the largest half, were there no infinity
		}
		mid := float32((f16(h) + upper) / 2) // exact
		for _, f := range []float32{mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, math.MaxFloat32), float32(f16(h))} {
			for _, f := range []float32{f, -f} {
				if got, want := F32ToF16(f), refF16(float64(f)); got != want {
					t.Fatalf("%v rounds to %#04x, want %#04x", f, got, want)
				}
			}
		}
		if even := h + h&1; F32ToF16(mid) != even {
			t.Fatalf("%v, between %#04x and the next, rounds to %#04x", mid, h, F32ToF16(mid))
		}
	}
}

// TestF32ToF16 walks through all exponents and signs of float32.
func TestF32ToF16(t *testing.T) {
	for b := uint64(0); b < 1<<32; b += 4093 {
		f := math.Float32frombits(uint32(b))
		got := F32ToF16(f)
		if f != f {
			if got&0x7fff <= 0x7c00 {
				t.Fatalf("NaN %#08x rounds to %#04x", b, got)
			}
			continue
		}
		if want := refF16(float64(f)); got != want {
			t.Fatalf("%v rounds to %#04x, want %#04x", f, got, want)
		}
	}
	for _, b := range []uint32{0x7f800001, 0xffbfffff, 0x7fc00000} { // payloads that halves cannot hold
		if got := F32ToF16(math.Float32frombits(b)); got&0x7fff <= 0x7c00 || got>>15 != uint16(b>>31) {
			t.Errorf("NaN %#08x rounds to %#04x", b, got)
		}
	}
}

// TestBF16 rounds every bfloat16, every middle and their neighbours.
func TestBF16(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		bits := uint32(h) << 16
		f := math.Float32frombits(bits)
		if f != f {
			for _, low := range []uint32{0, 1, 0xffff} {
				if got := F32ToBF16(math.Float32frombits(bits | low)); got != h|0x40 {
					t.Fatalf("NaN %#08x rounds to %#04x", bits|low, got)
				}
			}
			continue
		}
		if math.IsInf(float64(f), 0) {
			if got := F32ToBF16(f); got != h {
				t.Fatalf("%v rounds to %#04x", f, got)
			}
			continue
		}
		for low, want := range map[uint32]uint16{0: h, 1: h, 0x7fff: h, 0x8000: h + h&1, 0x8001: h + 1, 0xffff: h + 1} {
			if got := F32ToBF16(math.Float32frombits(bits | low)); got != want {
				t.Fatalf("%#08x rounds to %#04x, want %#04x", bits|low, got, want)
			}
		}
	}
	if got := F32ToBF16(math.Float32frombits(0x7f800001)); got&0x7fff <= 0x7f80 {
		t.Errorf("a NaN whose payload is lost becomes %#04x", got)
	}
}

// TestF8 walks through every code of the small floats by counting: each format
// starts at zero with steps of its smallest number, and the steps double where
// the exponent field grows, from 2 on.
func TestF8(t *testing.T) {
	for _, k := range []struct {
		dtype       DType
		mantissa    int
		smallest    float64
		largest     float64 // finite
		largestCode uint8
		inf         bool // after the largest
		negNaN      bool // 0x80 is the only NaN, and there is no negative zero
	}{
		{Float8E4M3FN, 3, 0x1p-9, 448, 0x7e, false, false},
		{Float8E4M3UZ, 3, 0x1p-10, 240, 0x7f, false, true},
		{Float8E5M2, 2, 0x1p-16, 57344, 0x7b, true, false},
		{Float8E5M2UZ, 2, 0x1p-17, 57344, 0x7f, false, true},
	} {
		value, step := 0.0, k.smallest
		for c := 0; c <= 0x7f; c++ {
			want := value
			switch {
			case c > int(k.largestCode) && k.inf && c == int(k.largestCode)+1:
				want = math.Inf(1)
			case c > int(k.largestCode):
				want = math.NaN()
			}
			negative := -want
			if c == 0 {
				negative = math.Copysign(0, -1)
				if k.negNaN {
					negative = math.NaN()
				}
			}
			for code, want := range map[int]float64{c: want, c | 0x80: negative} {
				got := float64(F8ToF32(k.dtype, uint8(code)))
				if math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Errorf("%s %#02x is %v, want %v", k.dtype, code, got, want)
				}
			}
			if c == int(k.largestCode) && value != k.largest {
				t.Errorf("%s: counted to %v, want %v", k.dtype, value, k.largest)
			}
			if c>>k.mantissa >= 2 && c&(1<<k.mantissa-1) == 0 {
				step *= 2
			}
			value += step
		}
	}
	for code := range 255 {
		if got, want := float64(F8ToF32(Float8E8M0, uint8(code))), math.Pow(2, float64(code-127)); got != want {
			t.Errorf("e8m0 %d is %v, want %v", code, got, want)
		}
	}
	if got := F8ToF32(Float8E8M0, 255); got == got {
		t.Errorf("e8m0 255 is %v, want NaN", got)
	}
}
