package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// leastScale is the smallest normal float32: what a vector of zeros is divided by.
const leastScale = 0x1p-126

// quantisedState has a state keep codes of 8 bits, and a second one, named after it,
// the scale of each vector, which is the last axis: its largest magnitude / 127. Both
// are written by TensorScatter at the same rows. All of it is standard operators.
func (c *context) quantisedState(r *rewriter, s graph.State, uses []graph.Use) error {
	write, computed, shape := s.Out.Def, s.In.Type.DType, s.In.Type.Shape
	width, ok := shape[len(shape)-1].Int()
	if !ok || width < 1 {
		return fmt.Errorf("%s: vectors of the state %q (%s) have no known width, so they cannot be quantised: %w", write.ID(), s.In.Name, s.In.Type, op.ErrUnsupported)
	}
	number := func(v float32) *graph.Value { return c.g.NewConst(c.name("const"), graph.Floats([]float32{v})) }
	x := r.cast(write, graph.Float32, write.Inputs[1])
	largest := r.beside(write, "ReduceMax", nil, r.beside(write, "Abs", nil, x), r.ints(-1))
	scale := r.beside(write, "Max", nil, r.beside(write, "Div", nil, largest, number(127)), number(leastScale))
	blocks := attrs{"axis": -1, "block_size": width}
	codes := r.beside(write, "QuantizeLinear", attrs{"axis": -1, "block_size": width, "output_dtype": int64(graph.Int8)}, x, scale)

	of := graph.Type{DType: graph.Float32, Shape: append(shape[:len(shape)-1:len(shape)-1], graph.Const(1)), Space: s.In.Type.Space}
	scales := graph.State{In: c.g.NewInput(c.name(s.In.Name+".scale"), of)}
	scales.Out = r.beside(write, "TensorScatter", attrsOf(write), append([]*graph.Value{scales.In, scale}, write.Inputs[2:]...)...)
	c.g.States = append(c.g.States, scales)
	c.g.Outputs = append(c.g.Outputs, scales.Out)

	s.In.Type.DType, s.Out.Type.DType = graph.Int8, graph.Int8
	write.Inputs[1] = codes
	for _, u := range uses {
		if u.Node != nil {
			u.Node.Inputs[u.Index] = r.cast(u.Node, computed, r.beside(u.Node, "DequantizeLinear", blocks, s.Out, scales.Out))
		}
	}
	return nil
}

// dequantisedState takes that back.
func (c *context) dequantisedState(s graph.State) error {
	unknown := func(n *graph.Node) error {
		return fmt.Errorf("%s: the state %q (%s) is not written or read as codes with scales are: %w", n.ID(), s.In.Name, s.In.Type, op.ErrUnsupported)
	}
	write := s.Out.Def
	codes := write.Inputs[1].Def
	if !codes.Is("QuantizeLinear") || codes.In(2) != nil {
		return unknown(write)
	}
	uses, scales := c.g.Uses(), graph.State{}
	for _, o := range c.g.States {
		if o.Out.Def.Is("TensorScatter") && o.Out.Def.Inputs[1] == codes.Inputs[1] {
			scales = o
		}
	}
	if scales.In == nil {
		return unknown(codes)
	}
	x, computed := codes.Inputs[0], graph.Float32
	var read []*graph.Value
	for _, u := range uses[s.Out] {
		if u.Node == nil {
			continue
		}
		if !u.Node.Is("DequantizeLinear") || u.Index != 0 || u.Node.Inputs[1] != scales.Out {
			return unknown(u.Node)
		}
		read = append(read, u.Node.Outputs[0])
	}
	if x.Def.Is("Cast") {
		narrow := x.Def.Inputs[0].Type.DType
		if casts := castTo(narrow, read, uses); len(casts) > 0 {
			x, computed, read = x.Def.Inputs[0], narrow, casts
		}
	}
	made := map[*graph.Value]*graph.Value{}
	for _, y := range read {
		made[y] = s.Out
	}
	write.Inputs[1] = x
	c.asComputed(s, computed, made)
	drop(&c.g.Inputs, scales.In)
	drop(&c.g.Outputs, scales.Out)
	c.g.States = slices.DeleteFunc(c.g.States, func(o graph.State) bool { return o == scales })
	c.g.RemoveDead()
	return nil
}

// castTo returns what values are cast to, if all that reads them casts them to a type.
func castTo(to graph.DType, values []*graph.Value, uses map[*graph.Value][]graph.Use) (casts []*graph.Value) {
	for _, v := range values {
		for _, u := range uses[v] {
			if u.Node == nil || !u.Node.Is("Cast") || u.Node.Outputs[0].Type.DType != to {
				return nil
			}
			casts = append(casts, u.Node.Outputs[0])
		}
	}
	return casts
}
