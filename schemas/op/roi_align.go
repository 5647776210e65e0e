package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// RoiAlign is ONNX RoiAlign.
var RoiAlign = &Op{
	Name: "RoiAlign", Since: 10,
	Doc: "Y [rois, C, output_height, output_width] from X [N, C, H, W]: each region [x1, y1, x2, y2]·spatial_scale of its image is cut into cells, and a cell is the mean (mode avg) " +
		"or the largest weighted neighbour (max) of sampling_ratio² bilinear samples (0: as many as it has elements). Kept in float64 and rounded once.",
	Inputs: []string{"X", "rois", "batch_indices"}, Outputs: []string{"Y"},
	Attrs: []string{"coordinate_transformation_mode", "mode", "output_height", "output_width", "sampling_ratio", "spatial_scale"},
	Infer: func(in *Inference) error {
		x, err := in.ranked(0, 4)
		if err != nil {
			return err
		}
		rois, err := in.ranked(1, 2)
		if err != nil {
			return err
		}
		in.SetTensor(0, in.Type(0).DType, nil)
		if x != nil && rois != nil {
			in.SetTensor(0, in.Type(0).DType, graph.Shape{rois[0], x[1], graph.Const(in.Node.Int("output_height", 1)), graph.Const(in.Node.Int("output_width", 1))})
		}
		return nil
	},
	Eval: func(c *Call) error {
		x, rois := c.Arg(0), c.Arg(1)
		h, w, ratio := c.Node.Int("output_height", 1), c.Node.Int("output_width", 1), c.Node.Int("sampling_ratio", 0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if len(x.Shape) != 4 || len(rois.Shape) != 2 || rois.Shape[1] != 4 || !slices.Equal(c.Arg(2).Shape, rois.Shape[:1]) {
			return inputErrorf("%v regions and %v indices for shape %v", rois.Shape, c.Arg(2).Shape, x.Shape)
		}
		if h < 1 || w < 1 || h > math.MaxInt32 || w > math.MaxInt32 || ratio < 0 || ratio > 1<<10 {
			return inputErrorf("%d by %d cells of %d samples", h, w, ratio)
		}
		images, err := c.Arg(2).Int64s()
		if err != nil {
			return err
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		regions, err := rois.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, rois.Shape[0], x.Shape[1], h, w)
		if err != nil {
			return err
		}
		mode := c.Node.Str("mode", "avg")
		half := c.Node.Version >= 16 && c.Node.Str("coordinate_transformation_mode", "half_pixel") == "half_pixel"
		if mode != "avg" && mode != "max" {
			return inputErrorf("mode is %q", mode)
		}
		y, at := make([]float64, out.Len()), 0
		channels, plane := int(x.Shape[1]), count(x.Shape[2:])
		for r, image := range images {
			if image < 0 || image >= x.Shape[0] {
				return inputErrorf("region %d is of image %d of %d", r, image, x.Shape[0])
			}
			a := roiAligner{height: int(x.Shape[2]), width: int(x.Shape[3]), ratio: int(ratio), max: mode == "max"}
			if err := a.aim(regions[r*4:][:4], float64(c.Node.Float("spatial_scale", 1)), half, float64(h), float64(w)); err != nil {
				return err
			}
			for ch := range channels {
				if err := c.Ctx.Err(); err != nil {
					return err
				}
				for i := range h {
					for j := range w {
						y[at] = a.cell(v[(int(image)*channels+ch)*plane:][:plane], float64(i), float64(j))
						at++
					}
				}
			}
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 2, 2)
		roi := []*graph.Tensor{x, graph.Floats([]float32{0, 0, 2, 2}, 1, 4), graph.Ints([]int64{0})}
		one := graph.Attr{Name: "sampling_ratio", Value: int64(1)}
		return []Case{
			{Name: "half pixel", Attrs: []graph.Attr{one}, In: roi, Want: []*graph.Tensor{graph.Floats([]float32{2.5}, 1, 1, 1, 1)}},
			{Name: "version 10", Version: 10, Attrs: []graph.Attr{one}, In: roi, Want: []*graph.Tensor{graph.Floats([]float32{4}, 1, 1, 1, 1)}},
			{
				Name: "max, two cells", Attrs: []graph.Attr{one, {Name: "mode", Value: "max"}, {Name: "output_width", Value: int64(2)}},
				In: roi, Want: []*graph.Tensor{graph.Floats([]float32{1.5, 2}, 1, 1, 1, 2)},
			},
		}
	},
}

// roiAligner samples the cells of one region.
type roiAligner struct {
	height, width  int // of the image
	ratio          int
	max            bool
	x, y           float64 // where the region starts
	cellW, cellH   float64
	countX, countY int // samples in a cell
}

func (a *roiAligner) aim(roi []float64, scale float64, half bool, h, w float64) error {
	offset := 0.0
	if half {
		offset = 0.5
	}
	a.x, a.y = float64(roi[0]*scale)-offset, float64(roi[1]*scale)-offset
	width, height := float64(roi[2]*scale)-offset-a.x, float64(roi[3]*scale)-offset-a.y
	if !half { // malformed regions count as one element
		width, height = max(width, 1), max(height, 1)
	}
	a.cellW, a.cellH = width/w, height/h
	if !(math.Abs(a.cellW) < 1<<16 && math.Abs(a.cellH) < 1<<16) {
		return inputErrorf("a region of %v", roi)
	}
	if a.countX, a.countY = a.ratio, a.ratio; a.ratio == 0 {
		a.countX, a.countY = max(int(math.Ceil(a.cellW)), 0), max(int(math.Ceil(a.cellH)), 0)
	}
	return nil
}

func (a *roiAligner) cell(image []float64, i, j float64) float64 {
	sum, best := 0.0, math.Inf(-1)
	for sy := range a.countY {
		for sx := range a.countX {
			y := a.y + float64(i*a.cellH) + float64((float64(sy)+0.5)*a.cellH/float64(a.countY))
			x := a.x + float64(j*a.cellW) + float64((float64(sx)+0.5)*a.cellW/float64(a.countX))
			for _, v := range a.sample(image, y, x) {
				sum += v
				best = max(best, v)
			}
		}
	}
	switch {
	case a.countX*a.countY == 0:
		return 0
	case a.max:
		return best
	}
	return sum / float64(a.countX*a.countY)
}

// sample returns the weighted neighbours of a place; zeros beyond the image.
func (a *roiAligner) sample(image []float64, y, x float64) (v [4]float64) {
	if a.height == 0 || a.width == 0 || y < -1 || y > float64(a.height) || x < -1 || x > float64(a.width) || y != y || x != x {
		return v
	}
	split := func(p float64, n int) (low, high int, t float64) {
		p = max(p, 0)
		if low = int(p); low >= n-1 {
			return n - 1, n - 1, 0
		}
		return low, low + 1, p - float64(low)
	}
	y0, y1, ty := split(y, a.height)
	x0, x1, tx := split(x, a.width)
	return [4]float64{
		(1 - ty) * (1 - tx) * image[y0*a.width+x0], (1 - ty) * tx * image[y0*a.width+x1],
		ty * (1 - tx) * image[y1*a.width+x0], ty * tx * image[y1*a.width+x1],
	}
}
