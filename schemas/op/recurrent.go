package op

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"mnnconv/graph"
)

// What RNN, GRU and LSTM share. Everything is computed in float64 and rounded once
// into the outputs.

var recurrentAttrs = []string{"activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "layout"}

// recurrent is one call: sizes, weights and activation functions.
type recurrent struct {
	steps, batch, input, hidden, directions, gates int
	layout                                         int64
	x, w, r, b                                     []float64
	lengths                                        []int64 // of each sequence
	clip                                           float64 // 0: none
	act                                            []func(float64) float64
	perDirection                                   int // functions
}

// cell computes one step of direction d: from what the gates get of x and of h, to
// the new h and the further state c, in place.
type cell func(k *recurrent, d int, wx, rh, h, c []float64)

func inferRecurrent(in *Inference, gates int64) error {
	d := in.Type(0).DType
	for i := range in.Node.Outputs {
		in.SetTensor(i, d, nil)
	}
	x, err := in.ranked(0, 3)
	if err != nil {
		return err
	}
	w, err := in.ranked(1, 3)
	if err != nil {
		return err
	}
	r, err := in.ranked(2, 3)
	if err != nil || x == nil || w == nil || r == nil {
		return err
	}
	if _, err := in.agree("the rows of R and its gates", r[1], r[2].Mul(graph.Const(gates))); err != nil {
		return err
	}
	steps, batch, state := x[0], x[1], graph.Shape{w[0], x[1], r[2]}
	y := graph.Shape{steps, w[0], batch, r[2]}
	if in.Node.Int("layout", 0) != 0 {
		y, state = graph.Shape{x[0], x[1], w[0], r[2]}, graph.Shape{x[0], w[0], r[2]}
	}
	for i := range in.Node.Outputs {
		if i == 0 {
			in.SetTensor(0, d, y)
		} else {
			in.SetTensor(i, d, state)
		}
	}
	return nil
}

// newRecurrent reads the inputs X, W, R, B and sequence_lens, and the attributes.
func newRecurrent(c *Call, gates int, activations ...string) (*recurrent, error) {
	x, w, r := c.Arg(0), c.Arg(1), c.Arg(2)
	if !isReal(x.DType) {
		return nil, undefinedFor(x.DType)
	}
	if len(x.Shape) != 3 || len(w.Shape) != 3 || len(r.Shape) != 3 {
		return nil, inputErrorf("X, W and R of shapes %v, %v and %v, want rank 3", x.Shape, w.Shape, r.Shape)
	}
	k := &recurrent{layout: c.Node.Int("layout", 0), gates: gates, steps: int(x.Shape[0]), batch: int(x.Shape[1]), input: int(x.Shape[2]),
		hidden: int(r.Shape[2]), directions: int(w.Shape[0]), clip: float64(c.Node.Float("clip", 0)), perDirection: len(activations)}
	if k.layout != 0 {
		k.steps, k.batch = k.batch, k.steps
	}
	want := map[string]int{"forward": 1, "reverse": 1, "bidirectional": 2}[c.Node.Str("direction", "forward")]
	rows := int64(gates) * r.Shape[2]
	if k.directions != want || !slices.Equal(w.Shape, []int64{int64(want), rows, x.Shape[2]}) || !slices.Equal(r.Shape, []int64{int64(want), rows, r.Shape[2]}) {
		return nil, inputErrorf("direction %q, X, W and R of shapes %v, %v and %v", c.Node.Str("direction", "forward"), x.Shape, w.Shape, r.Shape)
	}
	if n := c.Node.Int("hidden_size", r.Shape[2]); n != r.Shape[2] {
		return nil, inputErrorf("hidden_size is %d, R has shape %v", n, r.Shape)
	}
	var err error
	for _, a := range []struct {
		to *[]float64
		t  *graph.Tensor
	}{{&k.x, x}, {&k.w, w}, {&k.r, r}} {
		if *a.to, err = a.t.Float64s(); err != nil {
			return nil, err
		}
	}
	if k.b, err = c.sized(3, 2*k.directions*int(rows)); err != nil {
		return nil, err
	}
	k.lengths = make([]int64, k.batch)
	fill(k.lengths, int64(k.steps))
	if t := c.Arg(4); t != nil {
		if k.lengths, err = t.Int64s(); err != nil {
			return nil, err
		}
		if len(k.lengths) != k.batch || slices.ContainsFunc(k.lengths, func(n int64) bool { return n < 0 || n > int64(k.steps) }) {
			return nil, inputErrorf("sequence_lens %v for %d sequences of %d", k.lengths, k.batch, k.steps)
		}
	}
	return k, k.activations(c.Node, activations)
}

// sized returns the elements of input i, zeros where it is absent.
func (c *Call) sized(i, n int) ([]float64, error) {
	t := c.Arg(i)
	if t == nil {
		return make([]float64, n), nil
	}
	v, err := t.Float64s()
	if err == nil && len(v) != n {
		err = inputErrorf("input %d has shape %v, want %d elements", i, t.Shape, n)
	}
	return slices.Clone(v), err
}

// activations reads the functions of all directions. Those with parameters take
// them, in their order, from activation_alpha and activation_beta.
func (k *recurrent) activations(n *graph.Node, names []string) error {
	given := n.Strs("activations")
	if given == nil {
		for range k.directions {
			given = append(given, names...)
		}
	}
	if len(given) != k.directions*len(names) {
		return inputErrorf("%d activations, want %d", len(given), k.directions*len(names))
	}
	for _, key := range []string{"activation_alpha", "activation_beta"} { // one float in FusedGemm
		if _, one := n.Attr(key).(float32); one {
			return fmt.Errorf("attribute %q is a float, want a list of floats: %w", key, graph.ErrInvalid)
		}
	}
	alphas, betas := n.Floats("activation_alpha"), n.Floats("activation_beta")
	next := func(list *[]float32, def float64) float64 {
		if len(*list) == 0 {
			return def
		}
		v := (*list)[0]
		*list = (*list)[1:]
		return float64(v)
	}
	for _, name := range given {
		var f func(float64) float64
		switch strings.ToLower(name) {
		case "tanh":
			f = math.Tanh
		case "sigmoid":
			f = func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		case "relu":
			f = func(x float64) float64 { return max(x, 0) }
		case "softsign":
			f = func(x float64) float64 { return x / (1 + math.Abs(x)) }
		case "softplus":
			f = func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
		case "affine":
			a, b := next(&alphas, 1), next(&betas, 0)
			f = func(x float64) float64 { return float64(a*x) + b }
		case "scaledtanh":
			a, b := next(&alphas, 1), next(&betas, 1)
			f = func(x float64) float64 { return a * math.Tanh(b*x) }
		case "hardsigmoid":
			a, b := next(&alphas, 0.2), next(&betas, 0.5)
			f = func(x float64) float64 { return min(max(float64(a*x)+b, 0), 1) }
		case "leakyrelu":
			a := next(&alphas, 0.01)
			f = func(x float64) float64 { return max(x, 0) + float64(a*min(x, 0)) }
		case "thresholdedrelu":
			a := next(&alphas, 1)
			f = func(x float64) float64 {
				if x > a {
					return x
				}
				return 0
			}
		case "elu":
			a := next(&alphas, 1)
			f = func(x float64) float64 { return max(x, 0) + float64(a*math.Expm1(min(x, 0))) }
		default:
			return inputErrorf("activation %q", name)
		}
		k.act = append(k.act, f)
	}
	return nil
}

// apply is activation function i of direction d of a clipped number.
func (k *recurrent) apply(d, i int, x float64) float64 {
	if k.clip > 0 {
		x = min(max(x, -k.clip), k.clip)
	}
	return k.act[d*k.perDirection+i](x)
}

// run goes through all sequences and sets the outputs Y, Y_h and, of an LSTM, Y_c.
// h and c are the initial states in layout 0, and are overwritten.
func (k *recurrent) run(call *Call, h, c []float64, step cell) error {
	n := k.hidden
	y := make([]float64, k.steps*k.directions*k.batch*n)
	rows := k.gates * n
	wx, rh := make([]float64, rows), make([]float64, rows)
	for d := range k.directions {
		w, r := k.w[d*rows*k.input:][:rows*k.input], k.r[d*rows*n:][:rows*n]
		wb, rb := k.b[2*d*rows:][:rows], k.b[(2*d+1)*rows:][:rows]
		backwards := d == 1 || call.Node.Str("direction", "forward") == "reverse"
		for b := range k.batch {
			if err := call.Ctx.Err(); err != nil {
				return err
			}
			at := (d*k.batch + b) * n
			var state []float64
			if c != nil {
				state = c[at:][:n]
			}
			for i := range int(k.lengths[b]) {
				t := i
				if backwards {
					t = int(k.lengths[b]) - 1 - i
				}
				from := t*k.batch + b
				if k.layout != 0 {
					from = b*k.steps + t
				}
				affine(wx, w, k.x[from*k.input:][:k.input], wb)
				affine(rh, r, h[at:][:n], rb)
				step(k, d, wx, rh, h[at:][:n], state)
				to := (t*k.directions+d)*k.batch + b
				if k.layout != 0 {
					to = (b*k.steps+t)*k.directions + d
				}
				copy(y[to*n:][:n], h[at:][:n])
			}
		}
	}
	shape := []int64{int64(k.steps), int64(k.directions), int64(k.batch), int64(n)}
	if k.layout != 0 {
		shape = []int64{int64(k.batch), int64(k.steps), int64(k.directions), int64(n)}
	}
	if err := k.store(call, 0, y, shape); err != nil {
		return err
	}
	for i, v := range [][]float64{h, c} {
		if v == nil {
			continue
		}
		shape := []int64{int64(k.directions), int64(k.batch), int64(n)}
		if k.layout != 0 {
			v, shape = k.swapped(v, k.directions, k.batch), []int64{int64(k.batch), int64(k.directions), int64(n)}
		}
		if err := k.store(call, 1+i, v, shape); err != nil {
			return err
		}
	}
	return nil
}

// initial returns input i, the state of all directions, in layout 0.
func (k *recurrent) initial(c *Call, i int) ([]float64, error) {
	v, err := c.sized(i, k.directions*k.batch*k.hidden)
	if err == nil && k.layout != 0 {
		v = k.swapped(v, k.batch, k.directions)
	}
	return v, err
}

// swapped exchanges the first two axes of [a, b, hidden].
func (k *recurrent) swapped(v []float64, a, b int) []float64 {
	out := make([]float64, len(v))
	for i := range a * b {
		copy(out[(i%b*a+i/b)*k.hidden:][:k.hidden], v[i*k.hidden:])
	}
	return out
}

func (k *recurrent) store(c *Call, i int, v []float64, shape []int64) error {
	if c.Node.Out(i) == nil {
		return nil
	}
	t, err := c.New(i, c.Arg(0).DType, shape...)
	if err != nil {
		return err
	}
	return storeFloats(t, v)
}

// affine stores m·x + b in y; m has a row for each element of y.
func affine(y, m, x, b []float64) {
	for i := range y {
		sum := b[i]
		for j, v := range m[i*len(x):][:len(x)] {
			sum += float64(v * x[j])
		}
		y[i] = sum
	}
}
