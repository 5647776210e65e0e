package qwen25vl

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// Inputs of the extend phase.
const (
	inStep    = "step"          // int64 [5, batch, tokens]: all that a decode step brings
	inRows    = "image_rows"    // float [rows, width]
	inRowsAt  = "image_rows_at" // int64 [rows, 2]: batch and token of each row
	outLogits = "logits"        // float [batch, 1, vocabulary]: of the last token
)

// Rows of the step: of each token its id, its three positions, and which token of
// the conversation it is. Where the caches are written and how long they are then
// follows from the last row, so that one copy feeds a device.
const (
	stepIDs       = 0
	stepPositions = 1
	stepIndex     = 4
	stepRows      = 5
)

// Inputs of the decoder after raising, which the step takes the place of.
const (
	inWrite   = "write_indices"    // int64 [batch]
	inLengths = "nonpad_kv_seqlen" // int64 [batch]
)

// extend is the phase that takes new tokens, with image rows among them, after
// those in the state, to logits.
type extend struct {
	graph      *graph.Graph
	vocabulary int64
	width      int64
	report     *passes.Report
}

func buildExtend(p *parts, cfg *Config, table op.Table) (*extend, error) {
	d := &p.decoder
	g := d.file.model.Graph
	where := func(err error) error { return fmt.Errorf("%s: %w", d.file.path, err) }
	batch := graph.Const(1) // one conversation; what the exports agree on
	if err := bindDecoder(g, d, batch); err != nil {
		return nil, where(err)
	}
	report, err := passes.Run(g, table, knowDecoder(g, d))
	if err != nil {
		return nil, where(err)
	}
	x := &extend{report: report}
	if x.vocabulary, err = selectLogits(g, d, table); err != nil {
		return nil, where(err)
	}
	if err := x.link(p, batch, table); err != nil {
		return nil, err
	}
	return x, nil
}

const tokens, past = "tokens", "past"

// bindDecoder types the inputs: embeddings, mask, positions, pasts; a scalar that
// says how many logits are wanted asks for all.
func bindDecoder(g *graph.Graph, d *decoderPart, batch graph.Dim) error {
	emb := named(g.Inputs, d.embeds)
	width := graph.Sym("width")
	if s := emb.Type.Shape; len(s) == 3 {
		width = s[2]
	}
	if _, ok := width.Int(); !ok {
		return fmt.Errorf("%w: the width of input %q is not declared", ErrFamily, emb.Name)
	}
	total := graph.Sym(past).Add(graph.Sym(tokens))
	with := map[*graph.Value]*graph.Value{}
	for _, v := range g.Inputs {
		switch {
		case v == emb && d.rowsFirst:
			v.Type.Shape = graph.ShapeOf(tokens, batch, width)
		case v == emb:
			v.Type.Shape = graph.ShapeOf(batch, tokens, width)
		case v.Name == d.positions && len(v.Type.Shape) == 2:
			v.Type.Shape = graph.ShapeOf(3, tokens)
		case v.Name == d.positions:
			v.Type.Shape = graph.ShapeOf(3, batch, tokens)
		case v.Name == d.mask && len(v.Type.Shape) == 4:
			v.Type.Shape = graph.ShapeOf(1, 1, tokens, total)
		case v.Name == d.mask:
			v.Type.Shape = graph.ShapeOf(batch, total)
		case v.Name == d.keep:
			k, err := tensor(v.Type.DType, shapeOrScalar(v), []int64{0})
			if err != nil {
				return err
			}
			with[v] = g.NewConst(v.Name+".all", k)
		case v.Name == d.index:
			k, err := tensor(v.Type.DType, shapeOrScalar(v), []int64{-1})
			if err != nil {
				return err
			}
			with[v] = g.NewConst(v.Name+".last", k)
		case len(v.Type.Shape) == 4: // past keys and values
			s := slices.Clone(v.Type.Shape)
			s[0], s[2] = batch, graph.Sym(past)
			v.Type.Shape = s
		default:
			return fmt.Errorf("%w: input %q (%s) has no known meaning", ErrFamily, v.Name, v.Type)
		}
	}
	g.Replace(with)
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v *graph.Value) bool { return with[v] != nil })
	g.Outputs = slices.DeleteFunc(g.Outputs, func(v *graph.Value) bool {
		return v.Name != d.logits && len(v.Type.Shape) != 4 // hidden states and the like
	})
	return nil
}

func shapeOrScalar(v *graph.Value) []int64 {
	if len(v.Type.Shape) == 1 {
		return []int64{1}
	}
	return []int64{}
}

// knowDecoder gives passes sample positions and masks: a first prompt, a later
// turn, a decode step.
func knowDecoder(g *graph.Graph, d *decoderPart) passes.Knowledge {
	k := passes.Knowledge{Cache: &passes.Cache{Capacity: graph.Sym("capacity"), WriteIndices: inWrite, Lengths: inLengths}}
	for _, size := range []struct{ past, tokens int64 }{{0, 7}, {5, 3}, {9, 1}, {0, 1}} {
		p := passes.Probe{Env: graph.Env{past: size.past, tokens: size.tokens}, Inputs: map[string]*graph.Tensor{}}
		total := size.past + size.tokens
		for _, v := range g.Inputs {
			switch v.Name {
			case d.positions:
				vals := make([]int64, 3*size.tokens)
				for i := range vals { // different on each axis, so that sections show
					vals[i] = size.past + int64(i*i)%11 + int64(i)/size.tokens
				}
				shape, _ := v.Type.Shape.Eval(p.Env)
				if t, err := tensor(v.Type.DType, shape, vals); err == nil {
					p.Inputs[v.Name] = t
				}
			case d.mask:
				if len(v.Type.Shape) == 4 {
					m := make([]float32, size.tokens*total)
					for i := range m {
						if row, col := int64(i)/total, int64(i)%total; col > row+size.past {
							m[i] = -3.4028234663852886e38
						}
					}
					p.Inputs[v.Name] = graph.Floats(m, 1, 1, size.tokens, total)
					continue
				}
				ones := make([]int64, total)
				for i := range ones {
					ones[i] = 1
				}
				if t, err := tensor(v.Type.DType, []int64{1, total}, ones); err == nil {
					p.Inputs[v.Name] = t
				}
			}
		}
		k.Probes = append(k.Probes, p)
	}
	return k
}

// selectLogits lets the graph compute logits only for the last token: a Gather on
// the token axis stands before the last projection, in place of the selection an
// exporter may have put there. It returns the vocabulary's size.
func selectLogits(g *graph.Graph, d *decoderPart, table op.Table) (int64, error) {
	logits := named(g.Outputs, d.logits)
	s := logits.Type.Shape
	if len(s) != 3 {
		return 0, fmt.Errorf("%w: output %q is %s, expected [batch, tokens, vocabulary]", ErrFamily, logits.Name, logits.Type)
	}
	vocabulary, ok := s[2].Int()
	if !ok {
		return 0, fmt.Errorf("%w: the vocabulary of output %q is not declared", ErrFamily, logits.Name)
	}
	at := g.NewConst("logits_at", graph.Ints([]int64{-1}))
	node, slot := logits.Def, dataInput(logits.Def)
	var head *graph.Node // the projection: the last node before which selection pays
	for depth := 0; node != nil && depth < 12; depth++ {
		x := node.In(slot)
		if x == nil {
			break
		}
		switch node.Op {
		case "MatMul", "MatMulNBits", "Gemm", "FusedMatMul":
			head = node
		case "Gather", "Slice":
			if len(x.Type.Shape) == 3 && x.Type.Shape[1].Equal(graph.Sym(tokens)) {
				g.Replace(map[*graph.Value]*graph.Value{node.Outputs[0]: gatherRows(g, node, x, at)})
				return vocabulary, reinfer(g, table)
			}
		case "RMSNormalization", "Cast", "Mul", "Reshape", "Add":
		default:
			depth = 12
		}
		node = x.Def
		slot = dataInput(node)
	}
	if head == nil {
		return 0, fmt.Errorf("%w: output %q does not come from a projection", ErrFamily, logits.Name)
	}
	x := head.Inputs[0]
	if len(x.Type.Shape) != 3 || !x.Type.Shape[1].Equal(graph.Sym(tokens)) {
		return 0, fmt.Errorf("%w: the projection to %q reads %s, expected [batch, tokens, width]", ErrFamily, logits.Name, x.Type)
	}
	head.Inputs[0] = gatherRows(g, head, x, at)
	return vocabulary, reinfer(g, table)
}

// dataInput is the input through which activations reach a node.
func dataInput(n *graph.Node) int {
	if n != nil && (n.Op == "Mul" || n.Op == "Add") && n.In(0) != nil && n.In(0).Const != nil {
		return 1
	}
	return 0
}

// gatherRows puts a Gather of the tokens in at before a node.
func gatherRows(g *graph.Graph, before *graph.Node, x, at *graph.Value) *graph.Value {
	n := g.NewNode("", "Gather", passes.Opset, []*graph.Value{x, at}, "logits_rows")
	n.SetAttr("axis", 1)
	n.Name = before.Name
	i := slices.Index(g.Nodes, before)
	g.Nodes = slices.Insert(g.Nodes, i, n)
	return n.Outputs[0]
}

func reinfer(g *graph.Graph, table op.Table) error {
	g.RemoveDead()
	_, err := passes.Infer(g, table)
	return err
}

// link joins embedding, merge and decoder into one graph.
func (x *extend) link(p *parts, batch graph.Dim, table op.Table) error {
	d := &p.decoder
	dec := d.file.model.Graph
	emb := named(dec.Inputs, d.embeds)
	width := emb.Type.Shape[2]
	x.width, _ = width.Int()
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
	hidden, err := embed(g, &p.embed, ids, table)
	if err != nil {
		return err
	}
	if s := hidden.Type.Shape; p.embed.file != nil && len(s) == 3 {
		if made, ok := s[2].Int(); ok && x.width > 0 && made != x.width {
			return fmt.Errorf("%w: %s makes embeddings of %d numbers, %s takes %d: the files are of different models", graph.ErrType, p.embed.file.path, made, d.file.path, x.width)
		}
	}
	if p.vision != nil {
		imageRows := g.NewInput(inRows, graph.TensorOf(emb.Type.DType, rows, width))
		at := g.NewInput(inRowsAt, graph.TensorOf(graph.Int64, rows, 2))
		hidden = add("embed.merge", "ScatterND", nil, hidden, at, imageRows)
	}
	if d.rowsFirst {
		hidden = add("embed.layout", "Transpose", map[string]any{"perm": []int64{1, 0, 2}}, hidden)
	}
	k := func(name string, x int64) *graph.Value { return g.NewConst("step."+name, graph.Ints([]int64{x})) }
	positions := add("llm.step", "Slice", nil, step, k("first", stepPositions), k("end", stepPositions+3), k("axis", 0))
	index := pick("llm.step", "step.index", step, 0, stepIndex)
	write := pick("llm.step", "step.from", index, 1, 0)
	length := add("llm.step", "Add", nil, pick("llm.step", "step.last", index, 1, -1), k("one", 1))
	own := named(dec.Inputs, d.positions)
	if own != nil {
		if own.Type.DType != graph.Int64 {
			positions = add("llm.step", "Cast", map[string]any{"to": int64(own.Type.DType)}, positions)
		}
		if len(own.Type.Shape) == 2 {
			shape := g.NewConst("position_ids.shape", graph.Ints([]int64{3, -1}))
			positions = add("llm.step", "Reshape", nil, positions, shape)
		}
	}
	made := map[*graph.Value]*graph.Value{emb: hidden}
	for v, by := range map[*graph.Value]*graph.Value{own: positions, named(dec.Inputs, inWrite): write, named(dec.Inputs, inLengths): length} {
		if v != nil {
			made[v] = by
		}
	}
	uses := dec.Uses()
	dec.Inputs = slices.DeleteFunc(dec.Inputs, func(v *graph.Value) bool { return len(uses[v]) == 0 && made[v] == nil })
	for _, v := range dec.Inputs {
		if v.Name == d.mask {
			return fmt.Errorf("%s: %w: the mask %q is still needed after raising: %v", d.file.path, ErrFamily, v.Name, x.report.Notes)
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
	return reinfer(g, table)
}

// embed adds the lookup of token embeddings and returns [batch, tokens, width].
func embed(g *graph.Graph, e *embedPart, ids *graph.Value, table op.Table) (*graph.Value, error) {
	if e.table != nil {
		t := g.NewConst("embed.table", e.table)
		n := g.NewNode("", "Gather", passes.Opset, []*graph.Value{t, ids}, "embed.rows")
		n.Path = "embed.tokens"
		c := g.NewNode("", "Cast", passes.Opset, []*graph.Value{n.Outputs[0]}, "embed.float")
		c.SetAttr("to", int64(graph.Float32))
		c.Path = "embed.tokens"
		g.Append(n, c)
		return c.Outputs[0], nil
	}
	sub := e.file.model.Graph
	in := named(sub.Inputs, e.ids)
	if in.Type.DType != graph.Int64 {
		return nil, fmt.Errorf("%s: %w: input %q is %s, expected int64", e.file.path, ErrFamily, in.Name, in.Type)
	}
	in.Type.Shape = ids.Type.Shape
	sub.Outputs = []*graph.Value{named(sub.Outputs, e.output)}
	if e.features != "" {
		if err := unmerge(sub, e, table); err != nil {
			return nil, fmt.Errorf("%s: %w", e.file.path, err)
		}
	}
	if _, err := passes.Run(sub, table, passes.Knowledge{}); err != nil {
		return nil, fmt.Errorf("%s: %w", e.file.path, err)
	}
	for _, n := range sub.Nodes {
		n.Path = "embed.tokens"
	}
	return g.Inline(sub, map[*graph.Value]*graph.Value{in: ids})[0], nil
}

// unmerge takes the scattering of image rows out of an embedding graph: the
// canonical merge stands behind it, with rows placed by the prompt's own tokens.
// What the graph scatters into is the lookup itself.
func unmerge(sub *graph.Graph, e *embedPart, table op.Table) error {
	out := sub.Outputs[0]
	for range 8 {
		n := out.Def
		if n == nil {
			break
		}
		if n.Is("ScatterND") || n.Is("ScatterElements") || n.Is("Where") {
			data := n.Inputs[0]
			if n.Is("Where") {
				data = n.Inputs[2]
			}
			sub.Outputs[0] = data
			sub.RemoveDead()
			sub.Inputs = slices.DeleteFunc(sub.Inputs, func(v *graph.Value) bool { return v.Name == e.features })
			return graph.Verify(sub)
		}
		out = n.Inputs[0]
	}
	return fmt.Errorf("%w: output %q does not scatter %q into an embedding lookup", ErrFamily, e.output, e.features)
}
