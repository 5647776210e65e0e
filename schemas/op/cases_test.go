package op

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"testing"

	"mnnconv/graph"
)

// TestCases runs every operator's cases through inference and the reference.
func TestCases(t *testing.T) {
	table := All()
	for _, o := range table {
		if o.Doc == "" || o.Infer == nil || o.Eval == nil || o.Cases == nil {
			t.Errorf("%s.%s lacks Doc, Infer, Eval or Cases", o.Domain, o.Name)
			continue
		}
		for _, k := range o.Cases() {
			t.Run(fmt.Sprintf("%s/%s/%s", o.Domain, o.Name, k.Name), func(t *testing.T) {
				g := graph.New("case")
				version := k.Version
				if version == 0 {
					version = 24
					if o.Domain != "" {
						version = 1
					}
				}
				ins := make([]*graph.Value, len(k.In))
				for i, x := range k.In {
					if x != nil {
						ins[i] = g.NewInput(fmt.Sprintf("in%d", i), x.Type())
					}
				}
				names := make([]string, len(k.Want))
				for i, w := range k.Want {
					if w != nil {
						names[i] = fmt.Sprintf("out%d", i)
					}
				}
				n := g.NewNode(o.Domain, o.Name, version, ins, names...)
				n.Attrs, n.Bodies = k.Attrs, k.Bodies
				if err := NewFacts(table).Node(n); err != nil {
					t.Fatalf("infer: %v", err)
				}
				got, err := table.Eval(context.Background(), n, k.In, func(*graph.Value) *graph.Tensor { return nil })
				if err != nil {
					t.Fatalf("eval: %v", err)
				}
				for i, w := range k.Want {
					if w == nil {
						continue
					}
					if err := same(got[i], w, k.Tol); err != nil {
						t.Errorf("output %d: %v", i, err)
					}
					checkInferred(t, n.Outputs[i], got[i])
				}
				checkKnown(t, table, n, k.In, got)
			})
		}
	}
}

// checkInferred fails if the inferred type contradicts the computed tensor.
func checkInferred(t *testing.T, v *graph.Value, got *graph.Tensor) {
	t.Helper()
	if v.Type.Kind != got.Kind {
		t.Errorf("inferred %s, computed kind %d", v.Type, got.Kind)
	}
	if got.Kind != graph.TensorKind {
		return
	}
	if v.Type.DType != got.DType {
		t.Errorf("inferred %s, computed %s", v.Type, got.Type())
	}
	if !v.Type.Shape.Ranked() {
		return
	}
	if len(v.Type.Shape) != len(got.Shape) {
		t.Fatalf("inferred %s, computed %s", v.Type, got.Type())
	}
	for i, d := range v.Type.Shape {
		if n, ok := d.Int(); ok && n != got.Shape[i] {
			t.Errorf("inferred %s, computed %s", v.Type, got.Type())
		}
	}
}

// checkKnown infers the node once more with constant inputs, and fails if shape
// arithmetic contradicts the computed tensors.
func checkKnown(t *testing.T, table Table, n *graph.Node, in, got []*graph.Tensor) {
	t.Helper()
	for i, x := range in {
		if x != nil && x.Kind == graph.TensorKind {
			n.Inputs[i].Const = x
		}
	}
	facts := NewFacts(table)
	if err := facts.Node(n); err != nil {
		t.Fatalf("infer with constant inputs: %v", err)
	}
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		checkInferred(t, v, got[i])
		known, ok := facts.Elements(v)
		if !ok {
			continue
		}
		want, err := got[i].Int64s()
		if err != nil || len(known) != len(want) {
			t.Errorf("output %d: shape arithmetic gives %v, computed %s", i, known, got[i].Type())
			continue
		}
		for j, d := range known {
			if c, ok := d.Int(); ok && c != want[j] {
				t.Errorf("output %d: shape arithmetic gives %v, computed %v", i, known, want)
				break
			}
		}
	}
}

func same(got, want *graph.Tensor, tol float64) error {
	if got.Kind != want.Kind {
		return fmt.Errorf("got kind %d, want %d", got.Kind, want.Kind)
	}
	if want.Kind != graph.TensorKind {
		if len(got.Elems) != len(want.Elems) {
			return fmt.Errorf("got %d elements, want %d", len(got.Elems), len(want.Elems))
		}
		for i := range want.Elems {
			if err := same(got.Elems[i], want.Elems[i], tol); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		return nil
	}
	if got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		return fmt.Errorf("got %s, want %s", got.Type(), want.Type())
	}
	if tol == 0 {
		if !bytes.Equal(got.Data, want.Data) || fmt.Sprint(got.Strings) != fmt.Sprint(want.Strings) {
			g, _ := got.Float32s()
			w, _ := want.Float32s()
			return fmt.Errorf("got %v, want %v", g, w)
		}
		return nil
	}
	g, err := got.Float32s()
	if err != nil {
		return err
	}
	w, _ := want.Float32s()
	for i := range w {
		d := math.Abs(float64(g[i]) - float64(w[i]))
		nan := g[i] != g[i] && w[i] != w[i]
		if !(d <= tol+tol*math.Abs(float64(w[i]))) && g[i] != w[i] && !nan {
			return fmt.Errorf("element %d: got %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}
