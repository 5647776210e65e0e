package picture

// rgb converts the samples to pixels with libjpeg's choice of colour space (jdapimin.c, default_decompress_parms).
func (d *jpegDecoder) rgb() *RGB {
	p := newRGB(d.width, d.height)
	planes := make([]widener, len(d.components))
	rows := make([][]uint8, len(planes))
	for i, c := range d.components {
		planes[i] = newWidener(c, d.maxH/c.h, d.maxV/c.v)
		rows[i] = make([]uint8, c.width*planes[i].ratioX)
	}
	convert := d.converter()
	for y := range d.height {
		for i := range planes {
			planes[i].row(rows[i], y)
		}
		convert(p.row(y), rows)
	}
	return p
}

// converter returns what makes a row of pixels of a row of each component.
func (d *jpegDecoder) converter() func(out []uint8, rows [][]uint8) {
	id := func(i int) byte { return d.components[i].id }
	switch {
	case len(d.components) == 1:
		return grayRow
	case len(d.components) == 4 && d.adobe <= 0:
		return cmykRow
	case len(d.components) == 4:
		return func(out []uint8, rows [][]uint8) {
			// YCCK: three components are the complement of CMY, as YCbCr. Its RGB are what CMYK files store as CMY.
			yccRow(out, rows)
			for x, k := range rows[3][:len(out)/3] {
				cmykPixel(out[3*x:], ^out[3*x], ^out[3*x+1], ^out[3*x+2], k)
			}
		}
	case !d.jfif && (d.adobe == 0 || d.adobe < 0 && id(0) == 'R' && id(1) == 'G' && id(2) == 'B'):
		return rgbRow
	}
	return yccRow
}

func grayRow(out []uint8, rows [][]uint8) {
	for x, v := range rows[0][:len(out)/3] {
		out[3*x], out[3*x+1], out[3*x+2] = v, v, v
	}
}

func rgbRow(out []uint8, rows [][]uint8) {
	for x := range len(out) / 3 {
		out[3*x], out[3*x+1], out[3*x+2] = rows[0][x], rows[1][x], rows[2][x]
	}
}

func cmykRow(out []uint8, rows [][]uint8) {
	for x := range len(out) / 3 {
		cmykPixel(out[3*x:], rows[0][x], rows[1][x], rows[2][x], rows[3][x])
	}
}

// cmykPixel converts inks as a JPEG stores them, 255 for none (so Pillow takes all files, as Adobe writes them), with the
// rounding of Pillow's cmyk2rgb.
func cmykPixel(out []uint8, c, m, y, k uint8) {
	for i, v := range [3]uint8{^c, ^m, ^y} {
		ink := int32(v)*int32(k) + 128
		out[i] = clamp(int32(k) - (ink>>8+ink)>>8)
	}
}

// yccRow converts with the integers of jdcolor.c, ycc_rgb_convert.
func yccRow(out []uint8, rows [][]uint8) {
	const half = 1 << 15 // coefficients have 16 fraction bits
	n := len(out) / 3
	luma, cb, cr := rows[0][:n], rows[1][:n], rows[2][:n]
	for x, l := range luma {
		l, b, r := int32(l), int32(cb[x])-128, int32(cr[x])-128
		o := out[3*x : 3*x+3 : 3*x+3]
		o[0] = clamp(l + (91881*r+half)>>16)
		o[1] = clamp(l + (-22554*b-46802*r+half)>>16)
		o[2] = clamp(l + (116130*b+half)>>16)
	}
}

// clamp limits v to 0 and 255.
func clamp(v int32) uint8 {
	if uint32(v) <= 255 {
		return uint8(v)
	}
	return uint8(^v >> 31) // all ones above, zero below
}

// widener brings the rows of a component to the size of the picture, with the choice and the integers of libjpeg-turbo's
// jdsample.c with do_fancy_upsampling on, its default: a triangle filter where a direction is halved, repetition where it
// is divided otherwise or the plane is too narrow.
type widener struct {
	*jpegComponent
	ratioX, ratioY int
	sums           []int32 // of two rows, for planes halved in both directions
}

func newWidener(c *jpegComponent, ratioX, ratioY int) widener {
	return widener{c, ratioX, ratioY, make([]int32, c.width)}
}

// line returns row y of the component's own samples.
func (w *widener) line(y int) []uint8 {
	return w.samples[y*8*w.blocksX:][:w.width]
}

// row writes row y of the picture to dst, which has the picture's width, rounded up to whole samples of the component.
func (w *widener) row(dst []uint8, y int) {
	near := w.line(y / w.ratioY)
	switch [2]int{w.ratioX, w.ratioY} {
	case [2]int{1, 1}:
		copy(dst, near)
		return
	case [2]int{1, 2}: // h1v2_fancy_upsample
		bias := int32(1 + y%2)
		for x, far := range w.far(y) {
			dst[x] = uint8((3*int32(near[x]) + int32(far) + bias) >> 2)
		}
		return
	case [2]int{2, 1}: // h2v1_fancy_upsample
		if w.width > 2 {
			for x, v := range near {
				w.sums[x] = int32(v)
			}
			triangle(dst, w.sums, 1, 2, 2)
			return
		}
	case [2]int{2, 2}: // h2v2_fancy_upsample
		if w.width > 2 {
			for x, far := range w.far(y) {
				w.sums[x] = 3*int32(near[x]) + int32(far)
			}
			triangle(dst, w.sums, 8, 7, 4)
			return
		}
	}
	for x, v := range near { // int_upsample
		for i := range w.ratioX {
			dst[w.ratioX*x+i] = v
		}
	}
}

// far returns the neighbour of row y's line on the side that y is on; at the edges the line itself. The height is halved.
func (w *widener) far(y int) []uint8 {
	return w.line(min(max(y/2-1+2*(y%2), 0), w.height-1))
}

// triangle doubles a row: each result is 3 parts of its sample and 1 part of the neighbour on its side, which at the edges
// is the sample itself. The two biases keep rounding from leaning one way.
func triangle(dst []uint8, src []int32, biasLeft, biasRight int32, shift uint) {
	dst = dst[:2*len(src)]
	left, v := src[0], src[0]
	for x := range src {
		right := v
		if x+1 < len(src) {
			right = src[x+1]
		}
		dst[2*x] = uint8((3*v + left + biasLeft) >> shift)
		dst[2*x+1] = uint8((3*v + right + biasRight) >> shift)
		left, v = v, right
	}
}
