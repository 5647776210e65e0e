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
	inEmbeds  = "inputs_embeds" // float [batch, tokens, width]: of a decoder without a table
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
	drafts     int    // tokens behind the first of a step that have logits too
	ranks      int    // highest logits of a row that are outputs; 0: none
	best       int    // output that they are
	bestAt     int    // output that their tokens are
	without    []bool // outputs that a run has which takes them in the place of all logits
	report     *passes.Report
}

// batched is the number of sequences in a run.
const batched = "batch"

// buildExtend raises the decoder for one sequence a run, or for several; where the export
// takes one alone, in a way that raising does not lift, for one.
func buildExtend(p *parts, several bool, table op.Table) (*extend, error) {
	if several {
		restore := p.spare()
		if x := buildBatched(p, table); x != nil {
			return x, nil
		}
		restore()
	}
	return buildExtendFor(p, graph.Const(1), table)
}

// buildBatched raises the decoder for several sequences a run; nil if that cannot be.
func buildBatched(p *parts, table op.Table) *extend {
	x, err := buildExtendFor(p, graph.Sym(batched), table)
	if err != nil || !x.takes(graph.Sym(batched)) {
		return nil
	}
	return x
}

// spare puts clones in the place of what building the decoder changes, and returns what
// puts them back.
func (p *parts) spare() (restore func()) {
	files := []*file{p.decoder.file, p.decoder.head}
	if p.embed != nil {
		files = append(files, p.embed.file)
	}
	d, untouched := *p.decoder, map[*file]*graph.Graph{}
	for _, f := range files {
		if f != nil && untouched[f] == nil {
			untouched[f] = f.model.Graph
			f.model.Graph, _ = f.model.Graph.Clone()
		}
	}
	return func() {
		*p.decoder = d
		for f, g := range untouched {
			f.model.Graph = g
		}
	}
}

// takes reports whether logits and states are of so many sequences, and all of it was
// raised.
func (x *extend) takes(batch graph.Dim) bool {
	of := func(v *graph.Value) bool { return len(v.Type.Shape) > 0 && v.Type.Shape[0].Equal(batch) }
	for _, s := range x.graph.States {
		if !of(s.In) || !of(s.Out) {
			return false
		}
	}
	return of(x.graph.Outputs[0]) && len(passes.Leftovers(x.graph)) == 0
}

func buildExtendFor(p *parts, batch graph.Dim, table op.Table) (*extend, error) {
	d := p.decoder
	g := d.file.model.Graph
	where := func(err error) error { return fmt.Errorf("%s: %w", d.file.path, err) }
	if err := joinHead(g, d, table); err != nil {
		return nil, where(err)
	}
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

// joinHead puts the graph from hidden states to logits, where it is one of its own,
// behind the decoder.
func joinHead(g *graph.Graph, d *decoderPart, table op.Table) error {
	if d.head == nil {
		return nil
	}
	hidden := named(g.Outputs, d.hidden)
	head := d.head.model.Graph
	in := head.Inputs[0]
	if in.Type.DType != hidden.Type.DType {
		return fmt.Errorf("%w: output %q is %s, input %q of %s is %s: the files are of different models", graph.ErrType, hidden.Name, hidden.Type, in.Name, d.head.path, in.Type)
	}
	out := g.Inline(head, map[*graph.Value]*graph.Value{in: hidden})[0]
	out.From, out.Name = out.Name, outLogits
	d.logits = out.Name
	g.Outputs[slices.Index(g.Outputs, hidden)] = out
	return graph.Verify(g)
}

// bindDecoder types the inputs: embeddings or ids, mask, positions, pasts; a scalar
// that says how many logits are wanted asks for all.
func bindDecoder(g *graph.Graph, d *decoderPart, batch graph.Dim) error {
	uses := g.Uses()
	in := named(g.Inputs, d.input)
	width := graph.Const(0)
	if !d.ids {
		n, ok := lastExtent(in)
		if !ok {
			return fmt.Errorf("%w: the width of input %q is not declared", ErrFamily, in.Name)
		}
		width = graph.Const(n)
	} else if in.Type.DType != graph.Int64 {
		return fmt.Errorf("%w: input %q is %s, expected int64", ErrFamily, in.Name, in.Type)
	}
	total := graph.Sym(past).Add(graph.Sym(tokens))
	with := map[*graph.Value]*graph.Value{}
	for _, v := range g.Inputs {
		switch {
		case v == in && d.ids:
			v.Type.Shape = graph.ShapeOf(batch, tokens)
		case v == in && d.rowsFirst:
			v.Type.Shape = graph.ShapeOf(tokens, batch, width)
		case v == in:
			v.Type.Shape = graph.ShapeOf(batch, tokens, width)
		case v.Name == d.positions && len(v.Type.Shape) == 2:
			v.Type.Shape = graph.ShapeOf(3, tokens)
		case v.Name == d.positions:
			v.Type.Shape = graph.ShapeOf(positionRows(v, uses), batch, tokens)
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
	return nil
}

// positionRows is how many rows of positions a decoder takes: three, or four where
// the first one counts tokens. Some exporters write the number as a symbol's name;
// a Slice from row 1 on says it too.
func positionRows(v *graph.Value, uses map[*graph.Value][]graph.Use) int64 {
	if n, ok := v.Type.Shape[0].Int(); ok {
		return n
	}
	if len(v.Hints) > 0 && v.Hints[0] == "4" {
		return 4
	}
	for _, u := range uses[v] {
		if n := u.Node; n.Is("Slice") && n.In(1) != nil && sameInts(n.In(1).Const, []int64{1}) && n.In(3) != nil && sameInts(n.In(3).Const, []int64{0}) {
			return 4
		}
	}
	return 3
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
		p := passes.Probe{Env: graph.Env{past: size.past, tokens: size.tokens, batched: 1}, Inputs: map[string]*graph.Tensor{}}
		total := size.past + size.tokens
		for _, v := range g.Inputs {
			switch v.Name {
			case d.positions:
				count, _ := v.Type.Shape.Elements().Eval(p.Env)
				vals := make([]int64, count)
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
