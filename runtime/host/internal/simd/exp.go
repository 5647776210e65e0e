package simd

import "math"

// Exp returns e to the x, within 1 ulp: expf of the Cephes library (Moshier),
// with e^x = 2^n·e^r, n the nearest integer to x/ln 2. Products are rounded before
// they are added, so that processors with fused instructions give the same bits.
func Exp(x float32) float32 {
	if !(x > -87.33 && x < 88.37) {
		return farExp(x)
	}
	t := float32(x*math.Log2E) + 0x1.8p23 // the addition leaves n in the lowest bits
	n := t - 0x1.8p23
	r := x - float32(n*0.693359375) // ln 2 in two parts, the first short so that n times it is exact
	r += float32(n * 2.12194440e-4)
	p := float32(1.9875691500e-4)
	p = float32(p*r) + 1.3981999507e-3
	p = float32(p*r) + 8.3334519073e-3
	p = float32(p*r) + 4.1665795894e-2
	p = float32(p*r) + 1.6666665459e-1
	p = float32(p*r) + 5.0000001201e-1
	p = float32(p*float32(r*r)) + r + 1
	return float32(p * math.Float32frombits(math.Float32bits(t)<<23+0x3f800000))
}

// farExp is Exp where 2^n is no normal number. Inlined, it would push Exp's numbers
// out of registers.
//
//go:noinline
func farExp(x float32) float32 {
	if x < -104 { // less than half of the smallest number
		return 0
	}
	return float32(math.Exp(float64(x)))
}

// Sigmoid returns 1/(1+e^-x).
func Sigmoid(x float32) float32 { return 1 / (1 + Exp(-x)) }
