package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// GridSample is ONNX GridSample.
var GridSample = &Op{
	Name: "GridSample", Since: 16,
	Doc: "Y [N, C, places...] is X [N, C, spatial...] at the coordinates of grid [N, places..., rank], the last axis first, from -1 to 1: the centres of the first and " +
		"last elements with align_corners, else their edges. mode: nearest, linear (bilinear), cubic (bicubic); outside by padding_mode: zeros, border, reflection. " +
		"Computed in float64 and rounded once.",
	Inputs: []string{"X", "grid"}, Outputs: []string{"Y"}, Attrs: []string{"align_corners", "mode", "padding_mode"},
	Infer: func(in *Inference) error {
		x, grid, d := in.Type(0).Shape, in.Type(1).Shape, in.Type(0).DType
		in.SetTensor(0, d, nil)
		if !x.Ranked() || !grid.Ranked() {
			return nil
		}
		if len(x) < 3 || len(grid) != len(x) {
			return in.Errorf("a grid of shape %s for shape %s", grid, x)
		}
		n, err := in.agree("images and grids", x[0], grid[0])
		if err != nil {
			return err
		}
		in.SetTensor(0, d, append(graph.Shape{n, x[1]}, grid[1:len(grid)-1]...))
		return nil
	},
	Eval: func(c *Call) error {
		x, grid := c.Arg(0), c.Arg(1)
		rank := len(x.Shape) - 2
		if rank < 1 || len(grid.Shape) != rank+2 || grid.Shape[0] != x.Shape[0] || grid.Shape[rank+1] != int64(rank) {
			return inputErrorf("a grid of shape %v for shape %v", grid.Shape, x.Shape)
		}
		g, err := newGridSampler(c.Node, x.Shape[2:])
		if err != nil {
			return err
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		coords, err := grid.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, slices.Concat(x.Shape[:2], grid.Shape[1:rank+1])...)
		if err != nil || out.Len() == 0 {
			return err
		}
		y := make([]float64, out.Len())
		channels, plane, places := int(x.Shape[1]), count(x.Shape[2:]), count(grid.Shape[1:rank+1])
		for n := range int(x.Shape[0]) {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			for p := range places {
				g.aim(coords[(n*places+p)*rank:][:rank])
				for ch := range channels {
					y[(n*channels+ch)*places+p] = g.at(v[(n*channels+ch)*plane:][:plane])
				}
			}
		}
		return storeNumbers(out, y)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4}, 1, 1, 2, 2)
		grid := func(v ...float32) *graph.Tensor { return graph.Floats(v, 1, 1, int64(len(v)/2), 2) }
		text := func(name, value string) graph.Attr { return graph.Attr{Name: name, Value: value} }
		corners := graph.Attr{Name: "align_corners", Value: int64(1)}
		row := func(v ...float32) []*graph.Tensor { return []*graph.Tensor{graph.Floats(v, 1, 1, 1, int64(len(v)))} }
		return []Case{
			{Name: "linear, corners aligned", Attrs: []graph.Attr{corners}, In: []*graph.Tensor{x, grid(-1, -1, 0, 0, 1, 0)}, Want: row(1, 2.5, 3)},
			{Name: "linear, edges, zeros outside", In: []*graph.Tensor{x, grid(-1, -1, 0, 0)}, Want: row(0.25, 2.5)},
			{Name: "nearest, border", Attrs: []graph.Attr{text("mode", "nearest"), text("padding_mode", "border")}, In: []*graph.Tensor{x, grid(9, -0.5, 0.5, 9)}, Want: row(2, 4)},
			{Name: "cubic at an element", Attrs: []graph.Attr{corners, text("mode", "cubic"), text("padding_mode", "reflection")}, In: []*graph.Tensor{x, grid(1, -1)}, Want: row(2)},
		}
	},
}

// gridSampler samples images of one shape at one place at a time.
type gridSampler struct {
	shape         []int64
	corners       bool
	mode, padding string
	index         [][]int     // by axis; -1: outside, zero
	weight        [][]float64 // by axis
}

func newGridSampler(n *graph.Node, shape []int64) (*gridSampler, error) {
	g := &gridSampler{shape: shape, corners: n.Int("align_corners", 0) != 0, mode: n.Str("mode", "linear"), padding: n.Str("padding_mode", "zeros"),
		index: make([][]int, len(shape)), weight: make([][]float64, len(shape))}
	switch g.mode {
	case "bilinear":
		g.mode = "linear"
	case "bicubic":
		g.mode = "cubic"
	case "nearest", "linear", "cubic":
	default:
		return nil, inputErrorf("mode is %q", g.mode)
	}
	if g.padding != "zeros" && g.padding != "border" && g.padding != "reflection" {
		return nil, inputErrorf("padding_mode is %q", g.padding)
	}
	for _, d := range shape {
		if d < 1 {
			return nil, inputErrorf("images of shape %v", shape)
		}
	}
	return g, nil
}

// aim sets the place: normalised coordinates, the last axis first.
func (g *gridSampler) aim(coords []float64) {
	for a := range g.shape {
		n, x := float64(g.shape[a]), coords[len(coords)-1-a]
		if g.corners {
			x = float64((x + 1) / 2 * (n - 1))
		} else {
			x = (float64((x+1)*n) - 1) / 2
		}
		g.place(a, x)
	}
}

// place sets the place along one axis, in elements.
func (g *gridSampler) place(a int, x float64) {
	n := float64(g.shape[a])
	low, high := -0.5, n-0.5
	if g.corners {
		low, high = 0, n-1
	}
	if x != x || math.IsInf(x, 0) {
		x = -1 - n // as PyTorch: outside, whatever the padding
	}
	if g.mode == "nearest" {
		x = math.RoundToEven(x)
	}
	if x < low || x > high {
		switch g.padding {
		case "border":
			x = min(max(x, 0), n-1)
		case "reflection":
			x = reflected(x, low, high)
		}
	}
	floor := math.Floor(x)
	t := x - floor
	var w []float64
	first := floor
	switch g.mode {
	case "nearest":
		w = []float64{1}
	case "linear":
		w = []float64{1 - t, t}
	default:
		k := resampler{a: -0.75}
		w, first = []float64{k.cubic(1 + t), k.cubic(t), k.cubic(1 - t), k.cubic(2 - t)}, floor-1
	}
	g.weight[a] = w
	g.index[a] = slices.Grow(g.index[a][:0], len(w))[:len(w)]
	for i := range w {
		k := first + float64(i)
		switch g.padding {
		case "border":
			k = min(max(k, 0), n-1)
		case "reflection":
			k = min(max(math.Trunc(reflected(k, low, high)), 0), n-1)
		}
		if g.index[a][i] = -1; k >= 0 && k < n {
			g.index[a][i] = int(k)
		}
	}
}

// reflected folds x into the interval.
func reflected(x, low, high float64) float64 {
	length := high - low
	if x >= low && x <= high || length <= 0 {
		return min(max(x, low), high)
	}
	d := math.Mod(math.Abs(x-low), 2*length)
	return low + min(d, 2*length-d)
}

// at returns the sample of one image.
func (g *gridSampler) at(image []float64) float64 { return g.sum(image, 0, 0) }

func (g *gridSampler) sum(image []float64, axis, base int) float64 {
	if axis == len(g.shape) {
		return image[base]
	}
	sum := 0.0
	for i, k := range g.index[axis] {
		if k >= 0 {
			sum += float64(g.weight[axis][i] * g.sum(image, axis+1, base*int(g.shape[axis])+k))
		}
	}
	return sum
}

// storeNumbers stores v in a tensor of any numbers; integers are truncated.
func storeNumbers(t *graph.Tensor, v []float64) error {
	if isReal(t.DType) {
		return storeFloats(t, v)
	}
	n := make([]int64, len(v))
	for i, f := range v {
		n[i] = toInt(f, t.DType)
	}
	return storeInts(t, n)
}
