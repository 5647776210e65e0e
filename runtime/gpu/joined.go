package gpu

import (
	"slices"
	"strings"

	"mnnconv/graph"
)

// joined are products of one tensor that are one launch while it has few rows: each
// reads its weights alone, but one launch waits less than three do. The tensor may be
// what an RMSNormalization makes for them, which then is part of the launch, and two
// products may be the gate and the value of SwiGLU.
type joined struct {
	norm     *graph.Node // nil: none
	products []*product
	gate     *graph.Node // Swish behind product 0, nil: none
	parts    []Group     // what runs where there are many rows, or no kernel for few
}

// lowerJoined covers products of one tensor, up to three, with the biases behind them.
func lowerJoined(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	own, ok := productOf(n, uses)
	if !ok || own.residual != 0 {
		return Group{}, false
	}
	j := &joined{}
	for _, u := range uses[own.in[0]] {
		if p, ok := grown(u.Node, uses); ok && p.in[0] == own.in[0] && p.constant() {
			j.products = append(j.products, p)
		}
	}
	if len(j.products) > sets || !slices.ContainsFunc(j.products, func(p *product) bool { return p.last() == n }) {
		return Group{}, false
	}
	j.normalised(uses)
	if len(j.products) == 1 && j.norm == nil {
		return Group{}, false
	}
	return j.group(nil)
}

// lowerGated covers SwiGLU with the two products before it.
func lowerGated(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	mul, ok := lowerSwishMul(n, uses)
	if !ok {
		return Group{}, false
	}
	j := &joined{gate: mul.Nodes[0]}
	for _, v := range mul.In {
		if v.Def == nil || len(uses[v]) != 1 {
			return Group{}, false
		}
		p, ok := productOf(v.Def, uses)
		if !ok || !p.constant() || p.in[0] != p.first().Inputs[0] {
			return Group{}, false
		}
		j.products = append(j.products, p)
	}
	if j.products[0].in[0] != j.products[1].in[0] || j.products[0].last() == j.products[1].last() {
		return Group{}, false
	}
	j.normalised(uses)
	return j.group(&mul)
}

// grown returns the product that begins with n, with the sums behind it that it takes.
func grown(n *graph.Node, uses map[*graph.Value][]graph.Use) (*product, bool) {
	if n == nil {
		return nil, false
	}
	p, ok := productOf(n, uses)
	for ok {
		out := uses[p.last().Outputs[0]]
		if len(out) != 1 || out[0].Node == nil {
			break
		}
		next, more := productOf(out[0].Node, uses)
		if !more || !slices.Contains(next.nodes, n) || !next.constant() {
			break
		}
		p = next
	}
	return p, ok
}

// last is the node that gives the product's output, first the one that multiplies.
func (p *product) last() *graph.Node { return p.nodes[len(p.nodes)-1] }

func (p *product) first() *graph.Node {
	i := slices.IndexFunc(p.nodes, func(n *graph.Node) bool { return slices.Contains(n.Inputs, p.in[0]) })
	return p.nodes[i]
}

// constant reports whether nothing that the product reads but A is computed, and its
// rows are those of A.
func (p *product) constant() bool {
	return p.columns && p.residual == 0 && !slices.ContainsFunc(p.in[1:], func(v *graph.Value) bool { return v != nil && v.Const == nil })
}

// normalised takes in the normalisation before the products, if nobody else reads it.
func (j *joined) normalised(uses map[*graph.Value][]graph.Use) {
	x := j.products[0].in[0]
	if x.Def == nil || len(uses[x]) != len(j.products) {
		return
	}
	if g, ok := lowerRMSNorm(x.Def, nil); ok && areFloats(x.Def.Inputs[0], x) {
		j.norm, j.parts = x.Def, []Group{g}
	}
}

// group makes the group; behind is what stands behind the products.
func (j *joined) group(behind *Group) (Group, bool) {
	for _, p := range j.products {
		j.parts = append(j.parts, p.group())
	}
	if behind != nil {
		j.parts = append(j.parts, *behind)
	}
	g, ok := fused(j.parts)
	if !ok {
		return Group{}, false
	}
	g.Record = func(r *Recorder) error {
		if done, err := j.record(r, &g); done || err != nil {
			return err
		}
		return r.parts(&g, j.parts)
	}
	return g, true
}

// record makes one launch of the group, if there is a kernel for that.
func (j *joined) record(r *Recorder, g *Group) (bool, error) {
	parts := j.parts
	c := fewCall{a: r.of(g, j.products[0].in[0]), gated: j.gate != nil, rounds: j.norm != nil || j.gate != nil, normed: j.norm != nil}
	if j.norm != nil {
		c.a, c.gain, c.epsilon = r.of(g, j.norm.Inputs[0]), r.of(g, j.norm.Inputs[1]), j.norm.Float("epsilon", 1e-5)
		parts = parts[1:]
	}
	c.alpha, c.beta = j.products[0].alpha, j.products[0].beta
	for i, p := range j.products {
		part := r.part(g, &parts[i])
		w, err := p.weights(part)
		if err != nil {
			return false, err
		}
		if p.alpha != c.alpha || p.beta != c.beta && p.bias != 0 {
			return false, nil
		}
		s := fewSet{w: w, y: part.Out[0]}
		if p.bias != 0 {
			s.bias, c.beta = part.In[p.bias], p.beta
		}
		c.sets = append(c.sets, s)
	}
	if j.gate != nil {
		c.swish = j.gate.Float("alpha", 1)
		c.sets[0].y, c.sets[1].y = r.Out[0], nil
	}
	if done, err := r.few(c); done || err != nil || j.norm == nil {
		return done, err
	}
	return j.after(r, g, c)
}

// after records the normalisation in a launch of its own, before that of the products.
func (j *joined) after(r *Recorder, g *Group, c fewCall) (bool, error) {
	c.a, c.gain = r.of(g, j.norm.Outputs[0]), nil
	products := r.part(g, g)
	if done, err := products.few(c); !done || err != nil {
		return false, err
	}
	norm := r.part(g, &j.parts[0])
	if err := j.parts[0].Record(norm); err != nil {
		return false, err
	}
	r.join(norm)
	r.join(products)
	return true, nil
}

// fused returns one group of several, in their order: values that only they read are
// its work. ok is false where two keep one constant in two layouts.
func fused(parts []Group) (g Group, ok bool) {
	made := map[*graph.Value]bool{}
	var names []string
	for _, p := range parts {
		names = append(names, p.Name)
		g.Nodes = append(g.Nodes, p.Nodes...)
		for i, v := range p.In {
			if v == nil || made[v] {
				continue
			}
			at := slices.Index(g.In, v)
			if at < 0 {
				at = len(g.In)
				g.In = append(g.In, v)
				if l := p.Layout[i]; l != AsStored {
					if g.Layout == nil {
						g.Layout = map[int]Layout{}
					}
					g.Layout[at] = l
				}
				if slices.Contains(p.Host, i) {
					g.Host = append(g.Host, at)
				}
			} else if g.Layout[at] != p.Layout[i] || slices.Contains(g.Host, at) != slices.Contains(p.Host, i) {
				return g, false
			}
		}
		for _, v := range p.Out {
			made[v] = true
		}
	}
	g.Name = strings.Join(names, "+")
	for _, p := range parts {
		for _, v := range p.Out {
			if slices.ContainsFunc(parts, func(q Group) bool { return slices.Contains(q.In, v) }) {
				g.Work = append(g.Work, v)
			} else {
				g.Out = append(g.Out, v)
			}
		}
	}
	return g, true
}
