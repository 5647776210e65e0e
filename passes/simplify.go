package passes

import (
	stdcontext "context"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// maxFold bounds the elements of a tensor that folding may create: shape
// arithmetic and small tables, never a copy of a weight.
const maxFold = 1 << 14

// simplify folds constants and known integers, makes computed shapes constant
// where types allow it, drops operators that do nothing, joins equal nodes, and
// repeats until nothing changes.
func simplify(c *context) error {
	for range 8 {
		changed := c.fold()
		changed = c.staticShapes() || changed
		changed = c.proven() || changed
		changed = c.reshapes() || changed
		changed = c.expansions() || changed
		changed = c.noops() || changed
		moved, err := c.transposes()
		if err != nil {
			return err
		}
		changed = moved || changed
		changed = c.cse() || changed
		c.g.RemoveDead()
		if !changed {
			return nil
		}
		if err := c.infer(); err != nil {
			return err
		}
	}
	return nil
}

// fold replaces nodes whose outputs are known before running by constants.
func (c *context) fold() bool {
	changed := false
	with := map[*graph.Value]*graph.Value{}
	for _, n := range c.g.Nodes {
		if c.foldKnown(n, with) {
			changed = true
			continue
		}
		if t := c.foldConst(n); t != nil {
			for i, v := range n.Outputs {
				if v != nil {
					k := c.g.NewConst(v.Name, t[i])
					with[v] = k
					changed = true
				}
			}
		}
	}
	c.g.Replace(with)
	return changed
}

// foldKnown uses what inference knows of an integer vector or scalar.
func (c *context) foldKnown(n *graph.Node, with map[*graph.Value]*graph.Value) bool {
	if len(n.Outputs) != 1 || n.Outputs[0] == nil {
		return false
	}
	v := n.Outputs[0]
	t := knownInts(v, c.facts, graph.Dim.Int)
	if t != nil {
		with[v] = c.g.NewConst(v.Name, t)
	}
	return t != nil
}

// knownInts is an integer vector or scalar whose elements inference knows, as the numbers
// that they are; nil: there is something else, or one is no number.
func knownInts(v *graph.Value, facts *op.Facts, number func(graph.Dim) (int64, bool)) *graph.Tensor {
	if v.Type.DType != graph.Int64 || !v.Type.Shape.Ranked() || len(v.Type.Shape) > 1 {
		return nil
	}
	dims, ok := facts.Elements(v)
	if !ok {
		return nil
	}
	vals := make([]int64, len(dims))
	for i, d := range dims {
		if vals[i], ok = number(d); !ok {
			return nil
		}
	}
	switch {
	case len(v.Type.Shape) == 1:
		return graph.Ints(vals)
	case len(vals) == 1:
		return graph.Scalar(vals[0])
	}
	return nil
}

// foldConst evaluates a node all of whose inputs are constants.
func (c *context) foldConst(n *graph.Node) []*graph.Tensor {
	o, err := c.table.Lookup(n)
	if err != nil || o.Random || len(n.Bodies) > 0 {
		return nil
	}
	in := make([]*graph.Tensor, len(n.Inputs))
	for i, v := range n.Inputs {
		if v == nil {
			continue
		}
		if in[i] = v.Const; in[i] == nil || in[i].Kind != graph.TensorKind || in[i].Len() > maxFold || unread(in[i]) {
			return nil
		}
	}
	for _, v := range n.Outputs {
		if v == nil {
			continue
		}
		if size, ok := v.Type.Shape.Elements().Int(); v.Type.Kind != graph.TensorKind || !v.Type.Shape.Ranked() || !ok || size > maxFold {
			return nil
		}
	}
	outs, err := c.table.Eval(stdcontext.Background(), n, in, nil)
	if err != nil {
		return nil // it will say so when it runs
	}
	return outs
}

// unread reports whether a weight's data is still on disk, or not computed yet.
func unread(t *graph.Tensor) bool { return t.Data == nil && (t.Source != nil || t.Later != nil) }

// staticShapes gives Reshape a constant target where the inferred
// shape can be written as one: numbers, 0 for an extent kept, one -1.
func (c *context) staticShapes() bool {
	changed := false
	for _, n := range c.g.Nodes {
		if !n.Is("Reshape") || n.In(1) == nil || n.In(1).Const != nil {
			continue
		}
		in, out := n.Inputs[0].Type.Shape, n.Outputs[0].Type.Shape
		target, ok := staticTarget(in, out)
		if !ok {
			continue
		}
		n.Inputs[1] = c.g.NewConst(c.name(n.Inputs[1].Name+".static"), graph.Ints(target))
		n.SetAttr("allowzero", 0)
		changed = true
	}
	return changed
}

// reshapes lets a Reshape of a Reshape read the first one's input.
func (c *context) reshapes() bool {
	changed := false
	for _, n := range c.g.Nodes {
		if !n.Is("Reshape") {
			continue
		}
		inner := n.Inputs[0].Def
		if !inner.Is("Reshape") && !inner.Is("Unsqueeze") && !inner.Is("Squeeze") && !inner.Is("Flatten") {
			continue
		}
		src := inner.Inputs[0]
		target, ok := staticTarget(src.Type.Shape, n.Outputs[0].Type.Shape)
		if !ok || src.Type.Kind != graph.TensorKind {
			continue
		}
		n.Inputs = []*graph.Value{src, c.g.NewConst(c.name(n.Outputs[0].Name+".shape"), graph.Ints(target))}
		n.SetAttr("allowzero", 0)
		changed = true
	}
	return changed
}

// expansions takes an Expand out before a MatMul that repeats its operand by itself:
// matrices stay as they are, and what is repeated has its extent in the other operand.
func (c *context) expansions() bool {
	changed := false
	for _, n := range c.g.Nodes {
		if !n.Is("MatMul") {
			continue
		}
		for i, v := range n.Inputs {
			if !v.Def.Is("Expand") {
				continue
			}
			in, out, other := v.Def.Inputs[0].Type.Shape, v.Type.Shape, n.Inputs[1-i].Type.Shape
			if len(in) < 2 || len(in) != len(out) || len(other) != len(out) {
				continue
			}
			same := true
			for d := range out {
				same = same && (in[d].Equal(out[d]) || d < len(out)-2 && in[d].IsConst(1) && other[d].Equal(out[d]))
			}
			if same {
				n.Inputs[i] = v.Def.Inputs[0]
				changed = true
			}
		}
	}
	return changed
}

// staticTarget writes out as a Reshape target for an input of shape in.
func staticTarget(in, out graph.Shape) ([]int64, bool) {
	if !in.Ranked() || !out.Ranked() {
		return nil, false
	}
	target := make([]int64, len(out))
	free := -1
	for i, d := range out {
		n, ok := d.Int()
		switch {
		case ok && n > 0:
			target[i] = n
		case i < len(in) && d.Equal(in[i]):
			target[i] = 0
		case free < 0 && !ok:
			free, target[i] = i, -1
		default:
			return nil, false
		}
	}
	return target, true
}

// noops drops operators that return their input.
func (c *context) noops() bool {
	with := map[*graph.Value]*graph.Value{}
	for _, n := range c.g.Nodes {
		if len(n.Outputs) == 0 || n.Outputs[0] == nil || n.Domain != "" || n.In(0) == nil {
			continue
		}
		in, out := n.Inputs[0], n.Outputs[0]
		same := in.Type.Kind == graph.TensorKind && in.Type.DType == out.Type.DType && in.Type.Shape.Ranked() && in.Type.Shape.Equal(out.Type.Shape)
		switch n.Op {
		case "Identity":
			with[out] = in
		case "Dropout":
			if n.Out(1) == nil && n.In(2) == nil {
				with[out] = in
			}
		case "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand":
			if same {
				with[out] = in
			}
		case "Slice":
			if same && sliceForward(n) {
				with[out] = in
			}
		case "Split":
			if len(n.Outputs) == 1 && same {
				with[out] = in
			}
		case "Concat":
			if len(n.Inputs) == 1 {
				with[out] = in
			}
		case "Mul", "Div", "And":
			if x := c.neutral(n, 1); x != nil {
				with[out] = x
			}
		case "Add", "Sub":
			if x := c.neutral(n, 0); x != nil {
				with[out] = x
			}
		}
	}
	for v := range with {
		if c.isOutput(v) { // an output keeps its own name and node
			delete(with, v)
		}
	}
	c.g.Replace(with)
	return len(with) > 0
}

func (c *context) isOutput(v *graph.Value) bool { return slices.Contains(c.g.Outputs, v) }

func sliceForward(n *graph.Node) bool {
	steps := n.In(4)
	if steps == nil {
		return true
	}
	if steps.Const == nil {
		return false
	}
	v, err := steps.Const.Int64s()
	for _, s := range v {
		if s != 1 {
			return false
		}
	}
	return err == nil
}

// neutral returns the operand that a binary operator with the neutral element e
// leaves unchanged, in dtype and shape too.
func (c *context) neutral(n *graph.Node, e float32) *graph.Value {
	if len(n.Inputs) != 2 {
		return nil
	}
	for i := range 2 {
		x, k := n.Inputs[i], n.Inputs[1-i]
		if i == 1 && (n.Op == "Div" || n.Op == "Sub") {
			break
		}
		if k.Const == nil || k.Const.Kind != graph.TensorKind || k.Const.Len() != 1 || k.Const.DType == graph.String {
			continue
		}
		f, err := k.Const.Float32s()
		if err == nil && f[0] == e && x.Type.Shape.Ranked() && x.Type.Shape.Equal(n.Outputs[0].Type.Shape) {
			return x
		}
	}
	return nil
}
