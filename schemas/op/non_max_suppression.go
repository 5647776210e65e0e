package op

import (
	"cmp"
	"slices"

	"mnnconv/graph"
)

// NonMaxSuppression is ONNX NonMaxSuppression.
var NonMaxSuppression = &Op{
	Name: "NonMaxSuppression", Since: 10,
	Doc: "For every batch and class, from the highest score above score_threshold on, the boxes that overlap none chosen before by more than iou_threshold (intersection over " +
		"union), at most max_output_boxes_per_class (default 0): rows [batch, class, box]. Boxes are two corners [y1, x1, y2, x2], or with center_point_box 1 [x, y, width, height].",
	Inputs:  []string{"boxes", "scores", "max_output_boxes_per_class?", "iou_threshold?", "score_threshold?"},
	Outputs: []string{"selected_indices"}, Attrs: []string{"center_point_box"},
	Infer: func(in *Inference) error {
		for i := range 2 {
			if _, err := in.ranked(i, 3); err != nil {
				return err
			}
		}
		in.SetTensor(0, graph.Int64, graph.Shape{in.Fresh("boxes"), graph.Const(3)})
		return nil
	},
	Eval: func(c *Call) error {
		if c.Arg(0).DType != graph.Float32 || c.Arg(1).DType != graph.Float32 {
			return undefinedFor(c.Arg(0).DType)
		}
		boxes, scores := c.Arg(0).Shape, c.Arg(1).Shape
		if len(boxes) != 3 || len(scores) != 3 || boxes[0] != scores[0] || boxes[1] != scores[2] || boxes[2] != 4 {
			return inputErrorf("boxes of shape %v with scores of shape %v", boxes, scores)
		}
		most := int64(0)
		if t := c.Arg(2); t != nil {
			n, err := t.Int64s()
			if err != nil || len(n) != 1 {
				return inputErrorf("max_output_boxes_per_class is %s", t.Type())
			}
			most = n[0]
		}
		var thresholds [2]*float32
		for i := range thresholds {
			if t := c.Arg(3 + i); t != nil {
				v, err := t.Float32s()
				if err != nil || len(v) != 1 {
					return inputErrorf("threshold is %s", t.Type())
				}
				thresholds[i] = &v[0]
			}
		}
		overlap := float32(0)
		if thresholds[0] != nil {
			overlap = *thresholds[0]
		}
		b, s := graph.View[float32](c.Arg(0)), graph.View[float32](c.Arg(1))
		centred := c.Node.Int("center_point_box", 0) != 0
		var chosen []int64
		n, classes := int(boxes[1]), int(scores[1])
		for batch := range int(boxes[0]) {
			for class := range classes {
				if err := c.Ctx.Err(); err != nil {
					return err
				}
				score := s[(batch*classes+class)*n:][:n]
				var order []int
				for i := range n {
					if thresholds[1] == nil || score[i] > *thresholds[1] {
						order = append(order, i)
					}
				}
				slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(score[y], score[x]) })
				var kept []box
				for _, i := range order {
					if int64(len(kept)) >= most {
						break
					}
					candidate := newBox(b[(batch*n+i)*4:][:4], centred)
					if !slices.ContainsFunc(kept, func(k box) bool { return candidate.overlaps(k, overlap) }) {
						kept = append(kept, candidate)
						chosen = append(chosen, int64(batch), int64(class), int64(i))
					}
				}
			}
		}
		c.Set(0, graph.Ints(chosen, int64(len(chosen)/3), 3))
		return nil
	},
	Cases: func() []Case {
		boxes := graph.Floats([]float32{0, 0, 1, 1, 1, 1.1, 0, 0.1, 0, 10, 1, 11}, 1, 3, 4)
		scores := graph.Floats([]float32{0.5, 0.9, 0.7}, 1, 1, 3)
		one := func(v float32) *graph.Tensor { return graph.Floats([]float32{v}) }
		return []Case{
			{Name: "one is suppressed", In: []*graph.Tensor{boxes, scores, graph.Ints([]int64{3}), one(0.5)}, Want: []*graph.Tensor{graph.Ints([]int64{0, 0, 1, 0, 0, 2}, 2, 3)}},
			{Name: "at most one, scores", In: []*graph.Tensor{boxes, scores, graph.Ints([]int64{1}), one(0.5), one(0.95)}, Want: []*graph.Tensor{graph.Ints(nil, 0, 3)}},
			{
				Name: "centres", Attrs: []graph.Attr{{Name: "center_point_box", Value: int64(1)}},
				In: []*graph.Tensor{graph.Floats([]float32{0, 0, 2, 2, 0.1, 0, 2, 2}, 1, 2, 4), graph.Floats([]float32{1, 2}, 1, 1, 2), graph.Scalar(9), one(0.5)}, Want: []*graph.Tensor{graph.Ints([]int64{0, 0, 1}, 1, 3)},
			},
		}
	},
}

// box is a rectangle.
type box struct{ x1, y1, x2, y2 float32 }

func newBox(v []float32, centred bool) box {
	if centred {
		return box{v[0] - v[2]/2, v[1] - v[3]/2, v[0] + v[2]/2, v[1] + v[3]/2}
	}
	return box{min(v[1], v[3]), min(v[0], v[2]), max(v[1], v[3]), max(v[0], v[2])}
}

func (b box) area() float32 { return float32((b.x2 - b.x1) * (b.y2 - b.y1)) }

// overlaps reports whether intersection over union is above a threshold.
func (b box) overlaps(o box, threshold float32) bool {
	common := box{max(b.x1, o.x1), max(b.y1, o.y1), min(b.x2, o.x2), min(b.y2, o.y2)}
	if common.x2 <= common.x1 || common.y2 <= common.y1 || b.area() <= 0 || o.area() <= 0 {
		return false
	}
	return common.area()/(b.area()+o.area()-common.area()) > threshold
}
