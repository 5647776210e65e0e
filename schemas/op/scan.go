package op

import (
	"fmt"

	"mnnconv/graph"
)

// Scan is ONNX Scan.
var Scan = &Op{
	Name: "Scan", Since: 9,
	Doc: "Runs body (state…, slices…) → (state…, results…) once for each extent of the last num_scan_inputs inputs along their axes " +
		"(default 0), in their directions, and gives the last state and the results stacked along their axes. Version 8 does so " +
		"for every sample of the leading axis, over the axis behind it, as far as sequence_lens says, and fills results with zeros.",
	// Version 8 has an input more in front, which may be absent.
	Inputs: []string{"initial_state_and_scan_inputs?", "..."}, Outputs: []string{"final_state_and_scan_outputs..."},
	Attrs: []string{"directions", "num_scan_inputs", "scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"},
	Infer: func(in *Inference) error {
		if in.Node.Version < 9 {
			return inferBatchedScan(in)
		}
		return inferScan(in)
	},
	Eval: func(c *Call) error {
		if c.Node.Version < 9 {
			return evalBatchedScan(c)
		}
		return evalScan(c)
	},
	Cases: func() []Case {
		// sum += x; each sum is a result.
		body := func() []*graph.Body {
			g := graph.New("body")
			sum := g.NewInput("sum", graph.TensorOf(graph.Float32, 2))
			x := g.NewInput("x", graph.TensorOf(graph.Float32, 2))
			add := g.NewNode("", "Add", 14, []*graph.Value{sum, x}, "sum_out")
			g.Append(add)
			g.Outputs = []*graph.Value{add.Outputs[0], add.Outputs[0]}
			return []*graph.Body{{Attr: "body", Graph: g}}
		}
		one := graph.Attr{Name: "num_scan_inputs", Value: int64(1)}
		list := func(name string, v int64) graph.Attr { return graph.Attr{Name: name, Value: []int64{v}} }
		zero := graph.Floats([]float32{0, 0})
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
		return []Case{{
			Name: "running sum", Bodies: body(), Attrs: []graph.Attr{one}, In: []*graph.Tensor{zero, x},
			Want: []*graph.Tensor{graph.Floats([]float32{9, 12}), graph.Floats([]float32{1, 2, 4, 6, 9, 12}, 3, 2)},
		}, {
			Name: "axis 1, backwards, results along the last axis", Bodies: body(), In: []*graph.Tensor{zero, x.Reshape(2, 3)},
			Attrs: []graph.Attr{one, list("scan_input_axes", 1), list("scan_input_directions", 1), list("scan_output_axes", -1)},
			Want:  []*graph.Tensor{graph.Floats([]float32{6, 15}), graph.Floats([]float32{3, 5, 6, 6, 11, 15}, 2, 3)},
		}, {
			Name: "results put in front", Bodies: body(), In: []*graph.Tensor{zero, x}, Attrs: []graph.Attr{one, list("scan_output_directions", 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{9, 12}), graph.Floats([]float32{9, 12, 4, 6, 1, 2}, 3, 2)},
		}, {
			Name: "version 8", Version: 8, Bodies: body(), Attrs: []graph.Attr{one},
			In:   []*graph.Tensor{graph.Ints([]int64{2, 1}), graph.Floats([]float32{0, 0, 10, 10}, 2, 2), graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{4, 6, 15, 16}, 2, 2), graph.Floats([]float32{1, 2, 4, 6, 15, 16, 0, 0}, 2, 2, 2)},
		}, {
			Name: "nothing to scan", Bodies: body(), In: []*graph.Tensor{zero, graph.Floats(nil, 0, 2)}, Attrs: []graph.Attr{one},
			Want: []*graph.Tensor{zero, graph.Floats(nil, 0, 2)},
		}}
	},
}

// scanForm is what a Scan node's attributes say.
type scanForm struct {
	body            *graph.Body
	states          int // leading inputs and outputs that are state
	inAxes, outAxes []int64
	inBack, outBack []int64 // directions: 1 is backwards
	inputs, outputs int
}

func scanOf(n *graph.Node) (f scanForm, err error) {
	scanned := n.Int("num_scan_inputs", 0)
	if scanned < 1 || scanned > int64(len(n.Inputs)) {
		return f, inputErrorf("num_scan_inputs is %d of %d inputs", scanned, len(n.Inputs))
	}
	f.inputs, f.states = int(scanned), len(n.Inputs)-int(scanned)
	if n.Inputs[0] == nil {
		return f, inputErrorf("input 0 is absent")
	}
	if f.body, err = checkBody(n, "body", len(n.Inputs), max(f.states, len(n.Outputs))); err != nil {
		return f, err
	}
	f.outputs = len(f.body.Graph.Outputs) - f.states
	list := func(name string, want int) []int64 {
		if !n.Has(name) {
			return make([]int64, want)
		}
		if v := n.Ints(name); len(v) == want {
			return v
		}
		err = inputErrorf("%s does not have %d elements", name, want)
		return nil
	}
	f.inAxes, f.inBack = list("scan_input_axes", f.inputs), list("scan_input_directions", f.inputs)
	f.outAxes, f.outBack = list("scan_output_axes", f.outputs), list("scan_output_directions", f.outputs)
	return f, err
}

func inferScan(in *Inference) error {
	f, err := scanOf(in.Node)
	if err != nil {
		return err
	}
	start := make([]graph.Type, f.states)
	for i := range start {
		start[i] = in.Type(i)
	}
	trips := in.Fresh("trips")
	for i, axis := range f.inAxes {
		t := in.Type(f.states + i)
		if t.Shape.Ranked() {
			k, err := resolveAxis(axis, len(t.Shape))
			if err != nil {
				return err
			}
			if i == 0 {
				trips = t.Shape[k]
			} else if trips, err = in.agree("scanned inputs", trips, t.Shape[k]); err != nil {
				return err
			}
			t.Shape = replaced(t.Shape, k, nil)
		}
		setType(f.body.Graph.Inputs[f.states+i], t)
	}
	types, err := in.carry(f.body, 0, 0, start)
	if err != nil {
		return err
	}
	outer := in.outerSymbols()
	for i, t := range types {
		in.Set(i, in.outward(t, outer))
	}
	for i, axis := range f.outAxes {
		t := in.outward(f.body.Graph.Outputs[f.states+i].Type, outer)
		if t.Kind != graph.TensorKind {
			return in.Errorf("result %d is %s, want a tensor", i, t)
		}
		if t.Shape.Ranked() {
			if t.Shape, err = withAxes(t.Shape, []int64{axis}, trips); err != nil {
				return err
			}
		}
		in.Set(f.states+i, t)
	}
	return nil
}

func evalScan(c *Call) error {
	f, err := scanOf(c.Node)
	if err != nil {
		return err
	}
	trips := int64(-1)
	axes := make([]int, f.inputs)
	for i, axis := range f.inAxes {
		x := c.In[f.states+i]
		if axes[i], err = resolveAxis(axis, len(x.Shape)); err != nil {
			return err
		}
		n := x.Shape[axes[i]]
		if trips >= 0 && n != trips {
			return inputErrorf("scanned inputs have %d and %d extents", trips, n)
		}
		trips = n
	}
	state := c.In[:f.states]
	results := make([]stack, f.outputs)
	for i := range results {
		results[i].empty(f.body.Graph.Outputs[f.states+i])
	}
	for t := range trips {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		args := append([]*graph.Tensor{}, state...)
		for i, k := range axes {
			x, at := c.In[f.states+i], t
			if f.inBack[i] == 1 {
				at = trips - 1 - t
			}
			part, err := partOf(x, k, at, 1)
			if err != nil {
				return err
			}
			args = append(args, part.Reshape(replaced(x.Shape, k, nil)...))
		}
		outs, err := c.RunBody(f.body, args)
		if err != nil {
			return fmt.Errorf("iteration %d: %w", t, err)
		}
		state = outs[:f.states]
		for i := range results {
			if err := results[i].push(outs[f.states+i]); err != nil {
				return fmt.Errorf("iteration %d: %w", t, err)
			}
		}
	}
	for i, t := range state {
		c.Set(i, t)
	}
	for i := range results {
		t, err := results[i].tensor()
		if err != nil {
			return fmt.Errorf("result %d: %w", i, err)
		}
		if err := c.unstack(f.states+i, t, f.outAxes[i], f.outBack[i] == 1); err != nil {
			return err
		}
	}
	return nil
}

// unstack sets output i to results stacked along axis 0, moved to another axis
// and put in reverse order as asked.
func (c *Call) unstack(i int, t *graph.Tensor, axis int64, back bool) error {
	k, err := resolveAxis(axis, len(t.Shape))
	if err != nil {
		return err
	}
	strides := rowStrides(t.Shape)
	offset, step := 0, strides[0]
	if back {
		offset, step = int(t.Shape[0]-1)*step, -step
	}
	shape, err := withAxes(t.Shape[1:], []int64{int64(k)}, t.Shape[0])
	if err != nil {
		return err
	}
	walk, err := withAxes(strides[1:], []int64{int64(k)}, step)
	if err != nil {
		return err
	}
	m, err := c.moveTo(i, t, shape...)
	if err != nil {
		return err
	}
	m.strided(shape, offset, walk)
	return nil
}
