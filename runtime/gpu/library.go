package gpu

import "mnnconv/graph"

// library records the product for the driver's library of products, if there is one that
// takes it. Weights are of A's type, or blocks that are made so before.
func (p *product) library(r *Recorder, w weights, m int, bias, residual *Tensor) (bool, error) {
	a, y := r.In[0], r.Out[0]
	lib, ok := r.d.driver.(Multiplier)
	blocks := (w.kind == q4 || w.kind == q8) && w.k%4 == 0
	if !ok || y.DType != a.DType || w.kind != typeName(a.DType) && !blocks || bias != nil && p.beta != 1 {
		return false, nil
	}
	what := Product{M: m, N: w.n, K: w.k, DType: a.DType, Biased: bias != nil, Added: residual != nil, Alpha: p.alpha}
	var workspace int64
	err := r.d.do(func() (err error) {
		workspace, ok, err = lib.Multiplies(what)
		return err
	})
	if err != nil || !ok {
		return false, err
	}
	dense, err := w.dense(r, a.DType)
	if err != nil {
		return true, err
	}
	var scratch *Tensor
	if workspace > 0 {
		if scratch, err = r.Scratch(graph.Uint8, int(workspace)); err != nil {
			return true, err
		}
	}
	return true, r.Multiply(what, dense, bias, residual, scratch)
}

// Multiply queues a product of input 0 with weights, for the driver's library.
func (r *Recorder) Multiply(p Product, w, bias, residual, workspace *Tensor) error {
	c := Command{Kernel: "product", Node: r.Node, Product: &p}
	for i, t := range []*Tensor{r.In[0], w, bias, residual, r.Out[0], workspace} {
		arg, err := r.arg(t, i)
		if err != nil {
			return err
		}
		c.Args = append(c.Args, arg)
	}
	r.commands = append(r.commands, c)
	return nil
}
