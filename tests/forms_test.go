package tests

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

// TestOlderForms writes each operator's cases of older opsets as packages have them,
// at the newest, and reads them again: the answers stay, or the form is refused.
func TestOlderForms(t *testing.T) {
	refused := []string{"Dropout/mask of opset 7", "GroupNormalization/one scale and bias per group", "Hardmax/opset 11 joins trailing axes", "LogSoftmax/opset 1 joins trailing axes",
		"PRelu/per channel", "Scan/version 8", "Softmax/opset 11 joins trailing axes"}
	var found []string
	table := op.All()
	for _, o := range table {
		for _, k := range o.Cases() {
			if o.Domain != "" || k.Version == 0 {
				continue
			}
			name := o.Name + "/" + k.Name
			g := graph.New("case")
			ins := make([]*graph.Value, len(k.In))
			for i, x := range k.In {
				switch {
				case i == 0 && x != nil:
					ins[i] = g.NewInput("x", x.Type())
				case x != nil:
					ins[i] = g.NewConst(fmt.Sprintf("in%d", i), x)
				}
			}
			outs := make([]string, len(k.Want))
			for i, w := range k.Want {
				if w != nil {
					outs[i] = fmt.Sprintf("out%d", i)
				}
			}
			n := g.NewNode("", o.Name, k.Version, ins, outs...)
			n.Attrs, n.Bodies = k.Attrs, k.Bodies
			g.Append(n)
			for i, v := range n.Outputs {
				if v != nil {
					v.Type = k.Want[i].Type()
					g.Outputs = append(g.Outputs, v)
				}
			}
			file, err := mnnconv.EncodeGraph(g)
			if errors.Is(err, onnx.ErrUnsupported) {
				found = append(found, name)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got, err := evaluated(t, table, file, k.In[0])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, v := range n.Outputs {
				if v == nil {
					continue
				}
				if err := nearlySame(got[v.Name], k.Want[i]); err != nil {
					t.Errorf("%s: output %d: %v", name, i, err)
				}
			}
		}
	}
	if slices.Sort(found); !slices.Equal(found, refused) {
		t.Errorf("refused are %q, want %q", found, refused)
	}
}

// evaluated runs a file of one node, by the operators' definitions.
func evaluated(t *testing.T, table op.Table, file []byte, x *graph.Tensor) (map[string]*graph.Tensor, error) {
	t.Helper()
	m, err := onnx.Decode("case", file, onnx.Options{})
	if err != nil {
		return nil, err
	}
	n := m.Graph.Nodes[0]
	in := make([]*graph.Tensor, len(n.Inputs))
	for i, v := range n.Inputs {
		switch {
		case v != nil && v.Const != nil:
			in[i] = v.Const
		case v != nil:
			in[i] = x
		}
	}
	out, err := table.Eval(t.Context(), n, in, func(*graph.Value) *graph.Tensor { return nil })
	if err != nil {
		return nil, err
	}
	got := map[string]*graph.Tensor{}
	for i, v := range n.Outputs {
		if v != nil {
			got[v.Name] = out[i]
		}
	}
	return got, nil
}
