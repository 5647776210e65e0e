package picture

import (
	"fmt"
	"math"
)

// maxRatio is the largest ratio of a picture's longer side to its shorter one that the reference takes.
const maxRatio = 200

// SmartResize returns the size at which the model sees a picture of h × w pixels: both sides multiples of factor, about
// minPixels to maxPixels in all, the ratio kept as nearly as that allows. It is transformers' smart_resize, halves
// rounded to even as Python does. The error is ErrLimit for a ratio over 200 and ErrMalformed for arguments below 1.
func SmartResize(h, w, factor, minPixels, maxPixels int) (h2, w2 int, err error) {
	if min(h, w, factor, minPixels, maxPixels) < 1 {
		return 0, 0, fmt.Errorf("%w: %d×%d pixels, to be a multiple of %d with %d to %d pixels", ErrMalformed, w, h, factor, minPixels, maxPixels)
	}
	H, W, f := float64(h), float64(w), float64(factor)
	if max(H, W)/min(H, W) > maxRatio {
		return 0, 0, fmt.Errorf("%w: one side of %d×%d pixels is more than %d times the other; cut it into pieces", ErrLimit, w, h, maxRatio)
	}
	h2 = int(math.RoundToEven(H/f)) * factor
	w2 = int(math.RoundToEven(W/f)) * factor
	if h2*w2 > maxPixels {
		shrink := math.Sqrt(H * W / float64(maxPixels))
		h2 = max(factor, int(math.Floor(H/shrink/f))*factor)
		w2 = max(factor, int(math.Floor(W/shrink/f))*factor)
	} else if h2*w2 < minPixels { // also where a side was rounded to 0
		grow := math.Sqrt(float64(minPixels) / (H * W))
		h2 = int(math.Ceil(H*grow/f)) * factor
		w2 = int(math.Ceil(W*grow/f)) * factor
	}
	return h2, w2, nil
}

// Resize scales a picture to w × h pixels as torch does it to uint8 tensors with mode="bicubic" and antialias=True on a
// CPU (ATen, UpSampleKernelAVXAntialias.h): rows first, then columns, rounded to uint8 in between; a direction whose size
// stays is left out. Where nothing changes the result is src itself. w and h must be at least 1.
func Resize(src *RGB, w, h int) *RGB {
	if w < 1 || h < 1 {
		panic(fmt.Sprintf("picture: Resize to %d×%d pixels", w, h))
	}
	p := src
	if w != p.Width {
		p = resizeRows(p, w)
	}
	if h != p.Height {
		p = resizeColumns(p, h)
	}
	return p
}

func resizeRows(src *RGB, w int) *RGB {
	f := bicubic(src.Width, w)
	half, shift := f.rounding()
	p := newRGB(w, src.Height)
	p.Name = src.Name
	for y := range p.Height {
		in, out := src.row(y), p.row(y)
		for x := range w {
			r, g, b := half, half, half
			s := in[3*f.first[x]:]
			weights := f.weights(x)
			for ; len(weights) >= 4; weights = weights[4:] {
				k0, k1, k2, k3 := int32(weights[0]), int32(weights[1]), int32(weights[2]), int32(weights[3])
				t := s[:12]
				r += k0*int32(t[0]) + k1*int32(t[3]) + k2*int32(t[6]) + k3*int32(t[9])
				g += k0*int32(t[1]) + k1*int32(t[4]) + k2*int32(t[7]) + k3*int32(t[10])
				b += k0*int32(t[2]) + k1*int32(t[5]) + k2*int32(t[8]) + k3*int32(t[11])
				s = s[12:]
			}
			for _, k := range weights {
				k := int32(k)
				r += k * int32(s[0])
				g += k * int32(s[1])
				b += k * int32(s[2])
				s = s[3:]
			}
			o := out[3*x : 3*x+3 : 3*x+3]
			o[0], o[1], o[2] = clamp(r>>shift), clamp(g>>shift), clamp(b>>shift)
		}
	}
	return p
}

func resizeColumns(src *RGB, h int) *RGB {
	f := bicubic(src.Height, h)
	half, shift := f.rounding()
	p := newRGB(src.Width, h)
	p.Name = src.Name
	sums := make([]int32, 3*p.Width)
	line := func(y int) []uint8 { return src.row(y)[:len(sums)] }
	for y := range h {
		for i := range sums {
			sums[i] = half
		}
		weights, at := f.weights(y), f.first[y]
		for ; len(weights) >= 4; weights, at = weights[4:], at+4 {
			k0, k1, k2, k3 := int32(weights[0]), int32(weights[1]), int32(weights[2]), int32(weights[3])
			a, b, c, d := line(at), line(at+1), line(at+2), line(at+3)
			for i := range sums {
				sums[i] += k0*int32(a[i]) + k1*int32(b[i]) + k2*int32(c[i]) + k3*int32(d[i])
			}
		}
		for j, k := range weights {
			k, a := int32(k), line(at+j)
			for i := range sums {
				sums[i] += k * int32(a[i])
			}
		}
		out := p.row(y)[:len(sums)]
		for i, v := range sums {
			out[i] = clamp(v >> shift)
		}
	}
	return p
}

// filter says how each sample of a scaled line is made: the weighted sum of count[i] neighbours from first[i] on.
// Weights are integers with shift fraction bits.
type filter struct {
	first, count []int
	weight       []int16 // room of them for each sample
	room         int
	shift        uint
}

func (f *filter) weights(i int) []int16 { return f.weight[i*f.room:][:f.count[i]] }

// rounding returns what sums start with, one half, and by how much they are shifted in the end.
func (f *filter) rounding() (half int32, shift uint) {
	return 1 << (f.shift - 1), f.shift & 31 // the mask tells the compiler that the shift is a short one
}

// bicubic makes the filter that scales a line of in samples to out: Keys' cubic with a = −0.5, stretched over more
// neighbours when it shrinks, in float64, then brought to the most fraction bits with which the largest weight fits int16
// (ATen, UpSampleKernel.cpp, _compute_index_ranges_int16_weights).
func bicubic(in, out int) *filter {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := 2 * stretch
	f := &filter{first: make([]int, out), count: make([]int, out), room: 2*int(math.Ceil(support)) + 1}
	exact := make([]float64, out*f.room)
	var largest float64
	for i := range out {
		center := float64(scale * (float64(i) + 0.5)) // rounded before it is added to, on every processor
		first := max(int(center-support+0.5), 0)
		count := min(int(center+support+0.5), in) - first
		f.first[i], f.count[i] = first, count
		w := exact[i*f.room:][:count]
		var total float64
		for j := range w {
			w[j] = keys((float64(first+j) - center + 0.5) / stretch)
			total += w[j]
		}
		for j := range w {
			w[j] /= total
			largest = max(largest, w[j])
		}
	}
	for f.shift < 22 && int(0.5+float64(largest*float64(int(2)<<f.shift))) < 1<<15 {
		f.shift++
	}
	f.weight = make([]int16, len(exact))
	for i, w := range exact {
		f.weight[i] = int16(math.Round(w * float64(int(1)<<f.shift)))
	}
	for i := range out { // the outermost weight is often too small for a bit
		for f.count[i] > 1 && f.weight[i*f.room+f.count[i]-1] == 0 {
			f.count[i]--
		}
	}
	return f
}

// keys is the cubic convolution kernel of R. Keys (1981) with a = −0.5. Products
// are rounded before they are added, lest processors with fused instructions give
// other weights.
func keys(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return float64((float64((float64(a*x)-5*a)*x)+8*a)*x) - 4*a
	}
	return 0
}
