package op

import (
	"math"

	"mnnconv/graph"
)

// resampler says which elements of an axis make an element of the resized one.
type resampler struct {
	mode, transform, nearest string
	a                        float64 // of the cubic kernel
	antialias, excludeOut    bool
	outside                  float64 // value of what tf_crop_and_resize samples outside
}

// sample is one resized element: a weighted sum, or a value where index is nil.
type sample struct {
	index  []int
	weight []float64
	value  float64
}

func newResampler(n *graph.Node) (*resampler, error) {
	r := &resampler{
		mode:       n.Str("mode", "nearest"),
		transform:  n.Str("coordinate_transformation_mode", "half_pixel"),
		nearest:    n.Str("nearest_mode", "round_prefer_floor"),
		a:          float64(n.Float("cubic_coeff_a", -0.75)),
		antialias:  n.Int("antialias", 0) != 0,
		excludeOut: n.Int("exclude_outside", 0) != 0,
		outside:    float64(n.Float("extrapolation_value", 0)),
	}
	if scalesInput(n) == 1 {
		r.transform, r.nearest = "asymmetric", "simple"
		if r.mode == "bilinear" {
			r.mode = "linear"
		}
	}
	switch {
	case r.mode != "nearest" && r.mode != "linear" && r.mode != "cubic":
		return nil, inputErrorf("mode is %q", r.mode)
	case r.mode == "nearest" && r.antialias:
		return nil, inputErrorf("antialias with mode nearest")
	}
	switch r.nearest {
	case "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple":
	default:
		return nil, inputErrorf("nearest_mode is %q", r.nearest)
	}
	return r, nil
}

// maxFootprint bounds the elements that one antialiased sample is made of.
const maxFootprint = 1 << 20

// samples returns the samples of an axis of the given extent resized to size.
func (r *resampler) samples(extent, size int, scale float64, roi []float64) ([]sample, error) {
	out := make([]sample, size)
	for i := range out {
		at, err := r.origin(float64(i), float64(extent), float64(size), scale, roi)
		if err != nil {
			return nil, err
		}
		if r.transform == "tf_crop_and_resize" && (at < 0 || at > float64(extent-1)) {
			out[i].value = r.outside
			continue
		}
		if !(math.Abs(at) < 1<<40) {
			return nil, inputErrorf("element %d would be sampled at %v", i, at)
		}
		// The elements to the left of a whole position are preferred: it counts as
		// the end of the interval before it.
		ratio := at - math.Floor(at)
		if ratio == 0 {
			ratio = 1
		}
		w, err := r.weights(ratio, scale)
		if err != nil {
			return nil, err
		}
		first := int(math.Ceil(at)) - len(w)/2
		index, total := make([]int, len(w)), 0.0
		for k := range w {
			if index[k] = min(max(first+k, 0), extent-1); r.excludeOut && index[k] != first+k {
				w[k] = 0
			}
			total += w[k]
		}
		for k := range w {
			if r.excludeOut && total != 0 {
				w[k] /= total
			}
		}
		out[i] = sample{index: index, weight: w}
	}
	return out, nil
}

// origin returns where element i of the resized axis lies on the original one.
func (r *resampler) origin(i, extent, size, scale float64, roi []float64) (float64, error) {
	exact := float64(scale * extent)
	half := (i+0.5)/scale - 0.5
	switch r.transform {
	case "half_pixel":
		return half, nil
	case "pytorch_half_pixel":
		if exact == 1 {
			return -0.5, nil
		}
		return half, nil
	case "half_pixel_symmetric":
		return float64(extent/2*(1-size/exact)) + half, nil
	case "asymmetric":
		return i / scale, nil
	case "align_corners":
		if exact == 1 {
			return 0, nil
		}
		return i * (extent - 1) / (exact - 1), nil
	case "tf_crop_and_resize":
		if roi == nil {
			return 0, inputErrorf("tf_crop_and_resize without a region")
		}
		at := (roi[1] - roi[0]) * (extent - 1) / 2
		if exact != 1 {
			at = i * (roi[1] - roi[0]) * (extent - 1) / (exact - 1)
		}
		return at + float64(roi[0]*(extent-1)), nil
	}
	return 0, inputErrorf("coordinate_transformation_mode is %q", r.transform)
}

// weights returns an even number of weights, of the elements around a position that
// lies ratio, in (0, 1], behind the middle left one.
func (r *resampler) weights(ratio, scale float64) ([]float64, error) {
	right := 0.0
	switch {
	case r.mode == "nearest":
		if ratio == 1 || r.nearest == "ceil" || r.nearest == "simple" && scale < 1 || r.nearest == "round_prefer_floor" && ratio > 0.5 || r.nearest == "round_prefer_ceil" && ratio >= 0.5 {
			right = 1
		}
		return []float64{1 - right, right}, nil
	case r.mode == "linear" && !r.antialias:
		return []float64{1 - ratio, ratio}, nil
	case r.mode == "cubic" && !r.antialias:
		return []float64{r.cubic(1 + ratio), r.cubic(ratio), r.cubic(1 - ratio), r.cubic(2 - ratio)}, nil
	}
	// Antialiasing widens the kernel by as much as the axis shrinks.
	scale = min(scale, 1)
	kernel, reach := func(x float64) float64 { return max(0, 1-math.Abs(x)) }, 1.0
	if r.mode == "cubic" {
		kernel, reach = r.cubic, 2
	}
	if reach/scale > maxFootprint {
		return nil, inputErrorf("scale %v with antialias", scale)
	}
	start := int(math.Floor(-reach/scale)) + 1
	w, total := make([]float64, 2-2*start), 0.0
	for k := range w {
		w[k] = kernel(scale * (float64(start+k) - ratio))
		total += w[k]
	}
	for k := range w {
		w[k] /= total
	}
	return w, nil
}

// cubic is the convolution kernel of Keys (1981) with parameter a.
func (r *resampler) cubic(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x <= 1:
		return float64((float64((r.a+2)*x)-(r.a+3))*x*x) + 1
	case x < 2:
		return float64((float64((float64(r.a*x)-float64(5*r.a))*x)+8*r.a)*x) - 4*r.a
	}
	return 0
}
