package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Version 8 of Scan runs the body for every sample of a batch. It is the later Scan
// over each sample's part of the inputs.

// batchedScan returns a node of version 9 that scans one sample: without the
// lengths, its directions under their later name.
func batchedScan(n *graph.Node) *graph.Node {
	m := *n
	m.Version = 9
	m.Inputs = n.Inputs[min(1, len(n.Inputs)):]
	m.Attrs = slices.Clone(n.Attrs)
	for i := range m.Attrs {
		if m.Attrs[i].Name == "directions" {
			m.Attrs[i].Name = "scan_input_directions"
		}
	}
	return &m
}

func inferBatchedScan(in *Inference) error {
	g := graph.New("sample")
	m := batchedScan(in.Node)
	if len(m.Inputs) == 0 {
		return inputErrorf("nothing to scan")
	}
	m.Inputs = slices.Clone(m.Inputs)
	batch := in.Fresh("batch")
	for i, v := range m.Inputs {
		if v == nil {
			continue
		}
		t := v.Type
		if t.Shape.Ranked() {
			if len(t.Shape) < 1 {
				return in.Errorf("input %d has no batch axis", i+1)
			}
			batch = t.Shape[0]
			t.Shape = t.Shape[1:]
		}
		m.Inputs[i] = g.NewValue(v.Name, t)
	}
	sample := &Inference{Node: m, facts: in.facts, types: make([]graph.Type, len(m.Outputs)), known: make([][]graph.Dim, len(m.Outputs))}
	if err := inferScan(sample); err != nil {
		return err
	}
	for i, t := range sample.types {
		if t.Shape.Ranked() {
			t.Shape = append(graph.Shape{batch}, t.Shape...)
		}
		in.Set(i, t)
	}
	return nil
}

func evalBatchedScan(c *Call) error {
	m := batchedScan(c.Node)
	f, err := scanOf(m)
	if err != nil {
		return err
	}
	if slices.Contains(c.In[1:], nil) {
		return inputErrorf("an input is absent")
	}
	first := c.In[len(c.In)-1]
	if len(first.Shape) < 2 {
		return inputErrorf("scanned input of shape %v without batch and sequence", first.Shape)
	}
	batch, longest := first.Shape[0], first.Shape[1]
	lengths := make([]int64, batch)
	fill(lengths, longest)
	if t := c.Arg(0); t != nil {
		if lengths, err = t.Int64s(); err != nil {
			return err
		}
	}
	if int64(len(lengths)) != batch || batch == 0 {
		return inputErrorf("%d lengths for %d samples", len(lengths), batch)
	}
	results := make([]stack, len(c.Out))
	for b, n := range lengths {
		if n < 0 || n > longest {
			return inputErrorf("sample %d is %d long, of %d", b, n, longest)
		}
		in := make([]*graph.Tensor, len(c.In)-1)
		for i, x := range c.In[1:] {
			if len(x.Shape) < 1 || x.Shape[0] != batch || i >= f.states && (len(x.Shape) < 2 || x.Shape[1] != longest) {
				return inputErrorf("input %d has shape %v for %d samples of %d", i+1, x.Shape, batch, longest)
			}
			part, err := partOf(x, 0, int64(b), 1)
			if err != nil {
				return err
			}
			if in[i] = part.Reshape(x.Shape[1:]...); i < f.states {
				continue
			}
			if in[i], err = partOf(in[i], 0, 0, n); err != nil {
				return err
			}
		}
		sample := &Call{Ctx: c.Ctx, Node: m, In: in, Out: make([]*graph.Tensor, len(c.Out)), Outer: c.Outer, Table: c.Table}
		if err := evalScan(sample); err != nil {
			return fmt.Errorf("sample %d: %w", b, err)
		}
		for i, t := range sample.Out {
			if i >= f.states {
				if t, err = lengthened(t, longest); err != nil {
					return err
				}
			}
			if err := results[i].push(t); err != nil {
				return fmt.Errorf("sample %d: %w", b, err)
			}
		}
	}
	for i := range results {
		t, err := results[i].tensor()
		if err != nil {
			return err
		}
		c.Set(i, t)
	}
	return nil
}

// lengthened returns t with zeros behind it, as far as n along axis 0.
func lengthened(t *graph.Tensor, n int64) (*graph.Tensor, error) {
	if t.Shape[0] == n {
		return t, nil
	}
	out, err := graph.NewTensor(t.DType, append([]int64{n}, t.Shape[1:]...)...)
	if err != nil {
		return nil, inputErrorf("%v", err)
	}
	m, err := newMover(out, t)
	if err == nil {
		m.copy(0, 0, t.Len())
	}
	return out, err
}
