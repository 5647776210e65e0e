package graph

import "math"

// F16ToF32 widens an IEEE 754 binary16 number; exact.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	mag := uint32(h & 0x7fff)
	if mag >= 0x7c00 { // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | (mag&0x3ff)<<13)
	}
	// Shifting the bits into place scales the number by 2^-112; the product
	// restores it and normalises subnormals at once.
	f := math.Float32frombits(mag<<13) * 0x1p112
	return math.Float32frombits(math.Float32bits(f) | sign)
}

// F32ToF16 rounds to the nearest binary16 number, ties to even; overflow
// gives infinity.
func F32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN keeps its top payload bits and stays a NaN
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case b < 0x38800000: // subnormal: let the adder round at bit 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16((b-0x38000000)>>13)
}

// F32ToBF16 rounds to the nearest bfloat16 number, ties to even.
func F32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// BF16ToF32 widens a bfloat16 number; exact.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F8ToF32 widens one of ONNX's 8-bit floats; exact. Formats as in the ONNX
// documentation "Float stored in 8 bits".
func F8ToF32(d DType, v uint8) float32 {
	var expBits, bias uint
	switch d {
	case Float8E8M0:
		if v == 255 {
			return float32(math.NaN())
		}
		return float32(math.Ldexp(1, int(v)-127))
	case Float8E4M3FN:
		expBits, bias = 4, 7
		if v&0x7f == 0x7f {
			return float32(math.NaN())
		}
	case Float8E4M3UZ:
		expBits, bias = 4, 8
	case Float8E5M2:
		expBits, bias = 5, 15
		if v&0x7f == 0x7c {
			return float32(math.Inf(1 - int(v>>7)*2))
		}
		if v&0x7f > 0x7c {
			return float32(math.NaN())
		}
	default: // Float8E5M2UZ
		expBits, bias = 5, 16
	}
	if (d == Float8E4M3UZ || d == Float8E5M2UZ) && v == 0x80 {
		return float32(math.NaN())
	}
	manBits := 7 - expBits
	exp := uint(v) >> manBits & (1<<expBits - 1)
	man := float64(uint(v) & (1<<manBits - 1))
	var f float64
	if exp == 0 {
		f = math.Ldexp(man, 1-int(bias)-int(manBits))
	} else {
		f = math.Ldexp(man+float64(uint(1)<<manBits), int(exp)-int(bias)-int(manBits))
	}
	if v&0x80 != 0 {
		f = math.Copysign(f, -1)
	}
	return float32(f)
}

func f4ToF32(v uint8) float32 {
	f := [8]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6}[v&7]
	if v&8 != 0 {
		f = -f
	}
	return f
}
