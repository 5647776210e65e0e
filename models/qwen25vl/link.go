package qwen25vl

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// link joins embedding, merge and decoder into one graph.
func (x *extend) link(p *parts, batch graph.Dim, table op.Table) error {
	d := p.decoder
	dec := d.file.model.Graph
	in := named(dec.Inputs, d.input)
	var err error
	if x.width, err = hiddenWidth(dec, d); err != nil {
		return err
	}
	width := graph.Const(x.width)
	g := graph.New("extend")
	add := func(path, opname string, a map[string]any, in ...*graph.Value) *graph.Value {
		n := g.NewNode("", opname, passes.Opset, in, fmt.Sprintf("%s.%d", opname, g.NumValues()))
		n.Path = path
		for k, v := range a {
			n.SetAttr(k, v)
		}
		g.Append(n)
		return n.Outputs[0]
	}
	step := g.NewInput(inStep, graph.TensorOf(graph.Int64, stepRows, batch, tokens))
	pick := func(path, name string, x *graph.Value, axis, i int64) *graph.Value {
		return add(path, "Gather", map[string]any{"axis": axis}, x, g.NewConst(name, graph.Scalar(i)))
	}
	ids := pick("embed.ids", "step.ids", step, 0, stepIDs)
	ids.Type = graph.TensorOf(graph.Int64, batch, tokens)
	hidden := ids
	switch {
	case p.embed != nil:
		if hidden, err = embed(g, p.embed, ids, table); err != nil {
			return err
		}
		if made, ok := lastExtent(hidden); ok && made != x.width {
			return fmt.Errorf("%w: %s makes embeddings of %d numbers, %s takes %d: the files are of different models", graph.ErrType, p.embed.file.path, made, d.file.path, x.width)
		}
	case !d.ids:
		hidden = g.NewInput(inEmbeds, graph.TensorOf(in.Type.DType, batch, tokens, width))
	}
	if p.embed != nil && hidden.Type.DType != in.Type.DType && in.Type.DType.IsFloat() {
		hidden = add("embed.type", "Cast", map[string]any{"to": int64(in.Type.DType)}, hidden)
	}
	if p.vision != nil {
		imageRows := g.NewInput(inRows, graph.TensorOf(in.Type.DType, rows, width))
		at := g.NewInput(inRowsAt, graph.TensorOf(graph.Int64, rows, 2))
		hidden = add("embed.merge", "ScatterND", nil, hidden, at, imageRows)
	}
	if d.rowsFirst {
		hidden = add("embed.layout", "Transpose", map[string]any{"perm": []int64{1, 0, 2}}, hidden)
	}
	k := func(name string, x int64) *graph.Value { return g.NewConst("step."+name, graph.Ints([]int64{x})) }
	own := named(dec.Inputs, d.positions)
	var positions *graph.Value
	if own != nil && own.Type.Shape[0].IsConst(4) { // the first row counts tokens
		rows := g.NewConst("step.rows", graph.Ints([]int64{stepIndex, stepPositions, stepPositions + 1, stepPositions + 2}))
		positions = add("llm.step", "Gather", map[string]any{"axis": 0}, step, rows)
	} else {
		positions = add("llm.step", "Slice", nil, step, k("first", stepPositions), k("end", stepPositions+3), k("axis", 0))
	}
	index := pick("llm.step", "step.index", step, 0, stepIndex)
	write := pick("llm.step", "step.from", index, 1, 0)
	length := add("llm.step", "Add", nil, pick("llm.step", "step.last", index, 1, -1), k("one", 1))
	if own != nil {
		if own.Type.DType != graph.Int64 {
			positions = add("llm.step", "Cast", map[string]any{"to": int64(own.Type.DType)}, positions)
		}
		if len(own.Type.Shape) == 2 {
			shape := g.NewConst("position_ids.shape", graph.Ints([]int64{3, -1}))
			positions = add("llm.step", "Reshape", nil, positions, shape)
		}
	}
	made := map[*graph.Value]*graph.Value{in: hidden}
	for v, by := range map[*graph.Value]*graph.Value{own: positions, named(dec.Inputs, inWrite): write, named(dec.Inputs, inLengths): length} {
		if v != nil {
			made[v] = by
		}
	}
	uses := dec.Uses()
	dec.Inputs = slices.DeleteFunc(dec.Inputs, func(v *graph.Value) bool { return len(uses[v]) == 0 && made[v] == nil })
	for _, v := range dec.Inputs {
		if v.Name == d.mask {
			return fmt.Errorf("%s: %w: the mask %q is still needed after raising: %s", d.file.path, ErrFamily, v.Name, needed(dec, v, x.report))
		}
	}
	g.Outputs = g.Inline(dec, made)
	for i, v := range g.Outputs {
		if v.Name == d.logits && i > 0 {
			g.Outputs[0], g.Outputs[i] = g.Outputs[i], g.Outputs[0]
		}
	}
	g.Outputs[0].From, g.Outputs[0].Name = g.Outputs[0].Name, outLogits
	x.graph = g
	x.rank()
	if err := reinfer(g, table); err != nil {
		return err
	}
	return x.ranked()
}

// hiddenWidth is the width of the decoder's hidden states.
func hiddenWidth(g *graph.Graph, d *decoderPart) (int64, error) {
	v := named(g.Inputs, d.input)
	if d.ids {
		v = embeddingOf(g, v)
	}
	if v == nil {
		return 0, fmt.Errorf("%s: %w: input %q is not looked up in a table of embeddings", d.file.path, ErrFamily, d.input)
	}
	n, ok := lastExtent(v)
	if !ok {
		return 0, fmt.Errorf("%s: %w: the width of %q is not declared", d.file.path, ErrFamily, v.Name)
	}
	return n, nil
}
