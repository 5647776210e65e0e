package gpu

import (
	"slices"
	"strings"

	"mnnconv/graph"
)

// product is what a node or a pattern says of a product with weights,
//
//	y = alpha·A·Wᵀ + beta·bias + residual
//
// for A of m rows and weights W of n rows, both of k numbers, summed in float32 and
// rounded once.
type product struct {
	nodes       []*graph.Node  // what it covers, the last one giving the output
	in          []*graph.Value // what it reads: A first
	layout      map[int]Layout
	host        []int
	weights     func(*Recorder) (weights, error)
	alpha, beta float32
	columns     bool // the output's last axis is that of the weights' rows
	bias        int  // index in in; 0: none
	residual    int  // likewise
}

// weights are W of a product as its kernels take it.
type weights struct {
	kind string // a float type's name, q4 or q8
	n, k int
	args []any // as the kernel's parameters go on behind A
}

// tail is kernels/product.cl's Tail.
type tail struct {
	M, N, K, Type, Biased, Added int32
	Alpha, Beta                  float32
}

// few is up to how many rows a product runs the kernels whose bits do not depend on
// that number.
const few = 16

// lowerProduct covers the operators that multiply with weights, and sums behind them:
// a constant row (a bias) and a tensor of the result's shape (a residual), one of each
// at most.
func lowerProduct(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	p, ok := productOf(n, uses)
	if !ok {
		return Group{}, false
	}
	return p.group(), true
}

func (p *product) group() Group {
	names := make([]string, len(p.nodes))
	for i, m := range p.nodes {
		names[i] = m.OpName()
	}
	return Group{Name: strings.Join(names, "+"), Nodes: p.nodes, In: p.in, Out: p.last().Outputs, Host: p.host, Layout: p.layout, Record: p.record}
}

// productOf returns the product that ends in n.
func productOf(n *graph.Node, uses map[*graph.Value][]graph.Use) (*product, bool) {
	for _, of := range []func(*graph.Node, map[*graph.Value][]graph.Use) (*product, bool){matmulProduct, gemmProduct, patchesProduct, nbitsProduct} {
		if p, ok := of(n, uses); ok {
			return p, true
		}
	}
	if !n.Is("Add") || len(n.Inputs) != 2 {
		return nil, false
	}
	for i, v := range n.Inputs {
		if v == nil || v.Def == nil || len(uses[v]) != 1 {
			continue
		}
		if p, ok := productOf(v.Def, uses); ok && p.add(n.Inputs[1-i], v) {
			p.nodes = append(p.nodes, n)
			return p, true
		}
	}
	return nil, false
}

// add makes v, which is added to the product out, part of it.
func (p *product) add(v, out *graph.Value) bool {
	switch {
	case v == nil:
		return false
	case v.Const != nil && p.bias == 0 && p.residual == 0 && p.columns && isRow(v, out):
		p.bias, p.beta = len(p.in), 1
	case p.residual == 0 && areFloats(v, out) && v.Type.Shape.Equal(out.Type.Shape):
		p.residual = len(p.in)
	default:
		return false
	}
	p.in = append(slices.Clone(p.in), v)
	return true
}

// isRow reports whether v, broadcast to out, is one row for all rows, and out's shape
// and type come out unchanged.
func isRow(v, out *graph.Value) bool {
	if !areFloats(v, out) || len(v.Type.Shape) == 0 || len(v.Type.Shape) > len(out.Type.Shape) {
		return false
	}
	row, last := v.Type.Shape[:len(v.Type.Shape)-1], v.Type.Shape[len(v.Type.Shape)-1]
	for _, d := range row {
		if !d.IsConst(1) {
			return false
		}
	}
	return last.Equal(out.Type.Shape[len(out.Type.Shape)-1])
}

func (p *product) record(r *Recorder) error {
	w, err := p.weights(r)
	if err != nil {
		return err
	}
	a, y := r.In[0], r.Out[0]
	if y.Len() == 0 {
		return nil
	}
	m := y.Len() / w.n
	if w.k == 0 || a.Len() != m*w.k || y.Len() != m*w.n {
		return r.mismatch(a, y)
	}
	t := tail{M: int32(m), N: int32(w.n), K: int32(w.k), Type: int32(typeOf(y)), Alpha: p.alpha, Beta: p.beta}
	var bias, residual *Tensor
	if p.bias > 0 {
		if bias, t.Biased = r.In[p.bias], 1; bias.Len() != w.n || bias.DType != y.DType {
			return r.mismatch(a, bias, y)
		}
	}
	if p.residual > 0 {
		if residual, t.Added = r.In[p.residual], 1; residual.Len() != y.Len() || residual.DType != y.DType {
			return r.mismatch(a, residual, y)
		}
	}
	if m <= few {
		c := fewCall{a: a, sets: []fewSet{{w, bias, y}}, residual: residual, alpha: p.alpha, beta: p.beta}
		if done, err := r.few(c); done || err != nil {
			return err
		}
	}
	args := append(append([]any{a}, w.args...), bias, residual, y, t)
	module := productModule(typeName(a.DType), w.kind)
	const tile = 64
	teams, form := 8, ""
	if w.k >= 4096 && w.n <= 8192 { // few long rows: more lanes for each keep the device busy
		teams, form = 2, "_long"
	}
	switch {
	case m == 1:
		return r.Launch(module, "gemv1"+form, [3]int{ceil(w.n, teams), 1, 1}, wide, args...)
	case m <= few:
		return r.Launch(module, "gemv4"+form, [3]int{ceil(w.n, teams), ceil(m, 4), 1}, wide, args...)
	}
	if done, err := p.library(r, w, m, bias, residual); done || err != nil {
		return err
	}
	if done, err := p.tensor(r, w, t, bias, residual); done || err != nil {
		return err
	}
	return r.Launch(module, "gemm", [3]int{ceil(w.n, tile), ceil(m, tile), 1}, wide, args...)
}

// shape is kernels/tensor.cl's Shape.
type shape struct {
	M, N, K, Biased, Added int32
	Alpha, Beta            float32
}

// tensor records the product on tensor cores, if they take it: A of a 16-bit type, and
// weights of the same, or blocks that are made so before.
func (p *product) tensor(r *Recorder, w weights, t tail, bias, residual *Tensor) (bool, error) {
	a, y := r.In[0], r.Out[0]
	if !r.limits.Tensor || a.DType.Bits() != 16 || y.DType != a.DType || w.k%4 != 0 {
		return false, nil
	}
	dense, err := w.dense(r, a.DType)
	if err != nil {
		return true, err
	}
	s := shape{t.M, t.N, t.K, t.Biased, t.Added, t.Alpha, t.Beta}
	kernel, tall, wideTile := "gemm", 128, 128
	if ceil(int(t.M), tall)*ceil(w.n, wideTile) < r.limits.Units { // smaller tiles keep more processors busy
		kernel, tall = "gemm64", 64
	}
	return true, r.Launch(tensorModule(a.DType), kernel, [3]int{ceil(int(t.M), tall), ceil(w.n, wideTile), 1}, wide, a, dense, bias, residual, y, s)
}

// dense returns the weights as a matrix of floats: blocks are unpacked to scratch.
func (w *weights) dense(r *Recorder, as graph.DType) (*Tensor, error) {
	if w.kind != q4 && w.kind != q8 {
		return w.args[0].(*Tensor), nil
	}
	dense, err := r.Scratch(as, w.n*w.k)
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(w.args), dense, w.n, w.k)
	return dense, r.Launch(productModule(typeName(as), w.kind), "unpack", over(w.n*w.k/4), wide, args...)
}

// storedWeight returns what is stored of the right side v of a product. A constant may
// stand behind nodes that nobody else reads: a widening Cast, and a Transpose of its
// last two axes. swapped tells whether there was a Transpose, behind lists the nodes in
// order.
func storedWeight(v *graph.Value, uses map[*graph.Value][]graph.Use) (stored *graph.Value, swapped bool, behind []*graph.Node) {
	w := v
	for w.Const == nil {
		n := w.Def
		if n == nil || len(uses[w]) != 1 || n.In(0) == nil || !areFloats(n.In(0)) {
			return v, false, nil
		}
		switch perm := n.Ints("perm"); {
		case n.Is("Cast") && w.Type.DType == graph.Float32:
		case n.Is("Transpose") && len(w.Type.Shape) == 2 && (perm == nil || slices.Equal(perm, []int64{1, 0})):
			swapped = !swapped
		default:
			return v, false, nil
		}
		behind = append(behind, n)
		w = n.In(0)
	}
	slices.Reverse(behind)
	return w, swapped, behind
}

// dense makes p a product with a constant matrix of floats, input 1. rows tells that it
// is stored as the kernels want it: n rows of k numbers.
func (p *product) dense(rows bool) {
	if !rows {
		p.layout = map[int]Layout{1: Transposed}
	}
	p.weights = func(r *Recorder) (weights, error) {
		w := r.In[1]
		return weights{kind: typeName(w.DType), n: w.At(0), k: w.Len() / max(1, w.At(0)), args: []any{w}}, nil
	}
}

// fits reports whether there is a module for weights of a type beside A of another.
func fits(a, w graph.DType) bool { return a == w || a == graph.Float32 }
