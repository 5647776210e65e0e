package picture

// transform turns the coefficients of all blocks into samples and lets go of the coefficients.
func (c *jpegComponent) transform() {
	stride := 8 * c.blocksX
	c.samples = make([]uint8, 64*len(c.coefficients))
	for i := range c.coefficients {
		at := i/c.blocksX*8*stride + i%c.blocksX*8
		idct(c.samples[at:], stride, &c.coefficients[i], c.quant)
	}
	c.coefficients = nil
}

// idct writes one block of 8 × 8 samples to dst: the dequantised inverse cosine transform in integers of libjpeg's
// jidctint.c (jpeg_idct_islow, after Loeffler, Ligtenberg and Moschytz 1989), which is libjpeg's default.
func idct(dst []uint8, stride int, b *[64]int16, quant *[64]uint16) {
	const (
		bits  = 13 // fraction bits of the constants
		pass1 = 2  // extra fraction bits between the passes
	)
	var w [64]int32
	for x := range 8 {
		if b[x+8]|b[x+16]|b[x+24]|b[x+32]|b[x+40]|b[x+48]|b[x+56] == 0 {
			dc := int32(b[x]) * int32(quant[x]) << pass1
			for i := x; i < 64; i += 8 {
				w[i] = dc
			}
			continue
		}
		var in [8]int32
		for i := range in {
			in[i] = int32(b[x+8*i]) * int32(quant[x+8*i])
		}
		butterfly(&in, 1<<(bits-pass1-1))
		for i, v := range in {
			w[x+8*i] = v >> (bits - pass1)
		}
	}
	for y := range 8 {
		const shift = bits + pass1 + 3
		in := (*[8]int32)(w[8*y:])
		butterfly(in, 128<<shift+1<<(shift-1)) // 128 brings samples back to 0 to 255
		out := dst[y*stride:][:8]
		for i, v := range in {
			out[i] = clamp(v >> shift)
		}
	}
}

// butterfly is the transform of one line, in place, scaled up by 13 bits, with bias added to each result.
func butterfly(v *[8]int32, bias int32) {
	// The even part: a rotation of 2 and 6, sum and difference of 0 and 4.
	z := (v[2] + v[6]) * 4433
	t2, t3 := z-v[6]*15137, z+v[2]*6270
	t0, t1 := (v[0]+v[4])<<13+bias, (v[0]-v[4])<<13+bias
	e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2
	// The odd part.
	o0, o1, o2, o3 := v[7], v[5], v[3], v[1]
	z5 := (o0 + o2 + o1 + o3) * 9633
	z1, z2 := (o0+o3)*-7373, (o1+o2)*-20995
	z3, z4 := (o0+o2)*-16069+z5, (o1+o3)*-3196+z5
	o0 = o0*2446 + z1 + z3
	o1 = o1*16819 + z2 + z4
	o2 = o2*25172 + z2 + z3
	o3 = o3*12299 + z1 + z4
	*v = [8]int32{e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3}
}
