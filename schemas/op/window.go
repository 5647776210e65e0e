package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// window is the geometry of convolution and pooling: a kernel that slides over
// the spatial axes of [batch, channels, spatial...]. All lists have one number
// per spatial axis.
type window struct {
	kernel, stride, dilation []int64
	before, after            []int64 // padding; of auto_pad SAME, set by fit
	same, lower              bool    // auto_pad SAME_*, with the odd one before
	ceil                     bool
	in, out                  []int64 // set by fit
}

// newWindow reads the attributes that Conv and the pools share. The error
// wraps ErrInput.
func newWindow(n *graph.Node, kernel []int64) (*window, error) {
	rank := len(kernel)
	w := &window{ceil: n.Int("ceil_mode", 0) != 0}
	var pads []int64
	for _, a := range []struct {
		name string
		to   *[]int64
		size int
		def  int64
	}{{"strides", &w.stride, rank, 1}, {"dilations", &w.dilation, rank, 1}, {"pads", &pads, 2 * rank, 0}} {
		v := n.Ints(a.name)
		if v == nil {
			v = make([]int64, a.size)
			for i := range v {
				v[i] = a.def
			}
		}
		if err := checkSizes(a.name, v, a.size, a.def); err != nil {
			return nil, err
		}
		*a.to = v
	}
	if err := checkSizes("kernel_shape", kernel, rank, 1); err != nil {
		return nil, err
	}
	w.kernel, w.before, w.after = kernel, pads[:rank:rank], pads[rank:]
	switch mode := n.Str("auto_pad", "NOTSET"); mode {
	case "NOTSET", "":
	case "VALID":
		w.before, w.after, w.ceil = make([]int64, rank), make([]int64, rank), false
	case "SAME_UPPER", "SAME_LOWER":
		w.same, w.lower = true, mode == "SAME_LOWER"
		w.before, w.after = make([]int64, rank), make([]int64, rank)
	default:
		return nil, inputErrorf("auto_pad is %q", mode)
	}
	return w, nil
}

// checkSizes keeps sums and products of the numbers far from overflow.
func checkSizes(name string, v []int64, size int, low int64) error {
	if len(v) != size {
		return inputErrorf("%s has %d numbers, want %d", name, len(v), size)
	}
	for _, x := range v {
		if x < low || x > math.MaxInt32 {
			return inputErrorf("%s is %v", name, v)
		}
	}
	return nil
}

// reach returns the extent that the kernel covers along axis d.
func (w *window) reach(d int) int64 { return (w.kernel[d]-1)*w.dilation[d] + 1 }

// fit sets the extents of the input and with them those of the output.
func (w *window) fit(in []int64) error {
	w.in, w.out = in, make([]int64, len(in))
	for d, n := range in {
		if n > graph.MaxElements {
			return inputErrorf("spatial extent %d", n)
		}
		if w.same {
			w.out[d] = (n + w.stride[d] - 1) / w.stride[d]
			pad := max(0, (w.out[d]-1)*w.stride[d]+w.reach(d)-n)
			w.before[d], w.after[d] = pad/2, pad-pad/2
			if w.lower {
				w.before[d], w.after[d] = w.after[d], w.before[d]
			}
			continue
		}
		free := n + w.before[d] + w.after[d] - w.reach(d)
		if free < 0 {
			return inputErrorf("a kernel that reaches %d over a padded extent of %d", w.reach(d), free+w.reach(d))
		}
		w.out[d] = free/w.stride[d] + 1
		if w.ceil && free%w.stride[d] != 0 && w.out[d]*w.stride[d] < n+w.before[d] {
			w.out[d]++ // the last window must start on the input or the padding before it
		}
	}
	return nil
}

// infer returns the spatial extents of the output for those of the input.
func (w *window) infer(in *Inference, spatial graph.Shape) (graph.Shape, error) {
	out := make(graph.Shape, len(spatial))
	for d, n := range spatial {
		switch {
		case w.same:
			out[d] = n.Add(graph.Const(w.stride[d] - 1)).Div(graph.Const(w.stride[d]))
		case w.ceil && w.stride[d] != 1:
			out[d] = in.Fresh("pool")
		default:
			free := n.Add(graph.Const(w.before[d] + w.after[d] - w.reach(d)))
			if f, ok := free.Int(); ok && f < 0 {
				return nil, in.Errorf("a kernel that reaches %d over a padded extent of %d", w.reach(d), f+w.reach(d))
			}
			out[d] = free.Div(graph.Const(w.stride[d])).Add(graph.Const(1))
		}
	}
	if ints, ok := spatial.Ints(); ok { // numbers: also what symbols cannot say
		if err := w.fit(ints); err != nil {
			return nil, fmt.Errorf("%w: %w", graph.ErrType, err)
		}
		for d, n := range w.out {
			out[d] = graph.Const(n)
		}
	}
	return out, nil
}

// positions calls f for every place of the kernel, in row-major order, with the
// coordinates of its first tap, which may lie in the padding. f must not keep them.
func (w *window) positions(f func(i int, origin []int64)) {
	n, err := graph.Elements(w.out)
	if err != nil {
		return
	}
	origin, at := make([]int64, len(w.out)), make([]int64, len(w.out))
	for i := range int(n) {
		for d := range origin {
			origin[d] = at[d]*w.stride[d] - w.before[d]
		}
		f(i, origin)
		step(at, w.out)
	}
}

// step advances a row-major index.
func step(at, shape []int64) {
	for d := len(at) - 1; d >= 0; d-- {
		if at[d]++; at[d] < shape[d] {
			return
		}
		at[d] = 0
	}
}

// cover calls f, for the kernel at origin, with the index of every input element
// of a plane that it covers, in row-major order.
func (w *window) cover(origin []int64, f func(i int)) {
	w.each(origin, func(_, i int) { f(i) })
}

// each is cover with the index of the kernel's tap beside that of the element.
func (w *window) each(origin []int64, f func(tap, i int)) {
	rank := len(w.in)
	from, size, at := make([]int64, rank), make([]int64, rank), make([]int64, rank)
	for d := range from {
		first, end := w.taps(d, origin[d])
		from[d], size[d] = first, end-first
	}
	n, err := graph.Elements(size)
	if err != nil {
		return
	}
	for range n {
		tap, i := int64(0), int64(0)
		for d, t := range at {
			tap = tap*w.kernel[d] + from[d] + t
			i = i*w.in[d] + origin[d] + (from[d]+t)*w.dilation[d]
		}
		f(int(tap), int(i))
		step(at, size)
	}
}

// taps returns the first and one past the last tap of axis d that lie on the
// input when the kernel starts at origin.
func (w *window) taps(d int, origin int64) (from, to int64) {
	dil := w.dilation[d]
	if origin < 0 {
		from = (-origin + dil - 1) / dil
	}
	if room := w.in[d] - origin; room > 0 {
		to = min(w.kernel[d], (room-1)/dil+1)
	}
	return from, max(from, to)
}

// inferPool infers a pool over input 0: the result, and the indices of MaxPool.
func inferPool(in *Inference) error {
	d, x := in.Type(0).DType, in.Type(0).Shape
	in.SetTensor(0, d, nil)
	in.SetTensor(1, graph.Int64, nil)
	if !x.Ranked() {
		return nil
	}
	kernel := in.Node.Ints("kernel_shape")
	if len(x) != len(kernel)+2 {
		return in.Errorf("a pool of kernel_shape %v over shape %s", kernel, x)
	}
	w, err := newWindow(in.Node, kernel)
	if err != nil {
		return err
	}
	spatial, err := w.infer(in, x[2:])
	if err != nil {
		return err
	}
	out := append(x[:2:2], spatial...)
	in.SetTensor(0, d, out)
	in.SetTensor(1, graph.Int64, out)
	return nil
}

// newPool reads a pool over input 0 and returns the shape of its result.
func newPool(c *Call) (*window, []int64, error) {
	x, kernel := c.Arg(0).Shape, c.Node.Ints("kernel_shape")
	if len(x) != len(kernel)+2 || len(kernel) == 0 {
		return nil, nil, inputErrorf("a pool of kernel_shape %v over shape %v", kernel, x)
	}
	w, err := newWindow(c.Node, kernel)
	if err != nil {
		return nil, nil, err
	}
	if err := w.fit(x[2:]); err != nil {
		return nil, nil, err
	}
	return w, append(x[:2:2], w.out...), nil
}
