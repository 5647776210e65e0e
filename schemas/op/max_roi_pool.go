package op

import (
	"math"

	"mnnconv/graph"
)

// MaxRoiPool is ONNX MaxRoiPool.
var MaxRoiPool = &Op{
	Name: "MaxRoiPool", Since: 1,
	Doc: "Y [rois, C, pooled_shape...] from X [N, C, H, W]: each region [image, x1, y1, x2, y2], its corners times spatial_scale rounded and both inside, is cut into " +
		"pooled_shape cells, of which the largest element counts; 0 for a cell outside the image.",
	Inputs: []string{"X", "rois"}, Outputs: []string{"Y"}, Attrs: []string{"pooled_shape", "spatial_scale"},
	Infer: func(in *Inference) error {
		x, err := in.ranked(0, 4)
		if err != nil {
			return err
		}
		rois, err := in.ranked(1, 2)
		if err != nil {
			return err
		}
		cells := in.Node.Ints("pooled_shape")
		if err := checkSizes("pooled_shape", cells, 2, 1); err != nil {
			return err
		}
		in.SetTensor(0, in.Type(0).DType, nil)
		if x != nil && rois != nil {
			in.SetTensor(0, in.Type(0).DType, graph.Shape{rois[0], x[1], graph.Const(cells[0]), graph.Const(cells[1])})
		}
		return nil
	},
	Eval: func(c *Call) error {
		x, rois, cells := c.Arg(0), c.Arg(1), c.Node.Ints("pooled_shape")
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if err := checkSizes("pooled_shape", cells, 2, 1); err != nil {
			return err
		}
		if len(x.Shape) != 4 || len(rois.Shape) != 2 || rois.Shape[1] != 5 {
			return inputErrorf("regions of shape %v for shape %v", rois.Shape, x.Shape)
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		regions, err := rois.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, rois.Shape[0], x.Shape[1], cells[0], cells[1])
		if err != nil {
			return err
		}
		scale := float64(c.Node.Float("spatial_scale", 1))
		y, at := make([]float64, out.Len()), 0
		channels, plane := int(x.Shape[1]), count(x.Shape[2:])
		for r := range int(rois.Shape[0]) {
			roi := regions[r*5:][:5]
			if !(roi[0] >= 0 && roi[0] < float64(x.Shape[0])) {
				return inputErrorf("region %d is of image %v of %d", r, roi[0], x.Shape[0])
			}
			for ch := range channels {
				if err := c.Ctx.Err(); err != nil {
					return err
				}
				image := v[(int(roi[0])*channels+ch)*plane:][:plane]
				for i := range cells[0] {
					top, bottom := roiCell(roi[2]*scale, roi[4]*scale, i, cells[0], x.Shape[2])
					for j := range cells[1] {
						left, right := roiCell(roi[1]*scale, roi[3]*scale, j, cells[1], x.Shape[3])
						best := math.Inf(-1)
						for k := top; k < bottom; k++ {
							for l := left; l < right; l++ {
								best = max(best, image[k*x.Shape[3]+l])
							}
						}
						if y[at] = best; bottom <= top || right <= left {
							y[at] = 0
						}
						at++
					}
				}
			}
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name:  "two cells, the second outside",
			Attrs: []graph.Attr{{Name: "pooled_shape", Value: []int64{1, 2}}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 2, 2), graph.Floats([]float32{0, 0, 0, 3, 1}, 1, 5)},
			Want:  []*graph.Tensor{graph.Floats([]float32{4, 0}, 1, 1, 1, 2)},
		}}
	},
}

// roiCell returns the range of elements, within an extent, of cell i of n between
// two corners.
func roiCell(first, last float64, i, n, extent int64) (from, to int64) {
	inside := func(v float64) int64 { return int64(min(max(v, 0), float64(extent))) }
	first, last = math.Round(first), math.Round(last)
	size := max(last-first+1, 1) / float64(n)
	return inside(first + math.Floor(float64(float64(i)*size))), inside(first + math.Ceil(float64(float64(i+1)*size)))
}
