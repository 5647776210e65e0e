package tests_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

// FuzzModel takes any bytes the way of a model: import, inference, raising, and
// where it is known to be small, a run on zeros. Each step refuses with an error or
// leaves a graph that the next one can take. The corpus has a model of most operators.
func FuzzModel(f *testing.F) {
	table := op.All()
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Decode("fuzz.onnx", data, onnx.Options{MaxNodes: 1000, MaxTensors: 1000})
		if err != nil {
			if !errors.Is(err, onnx.ErrMalformed) && !errors.Is(err, onnx.ErrUnsupported) && !errors.Is(err, onnx.ErrLimit) {
				t.Errorf("%v wraps no sentinel", err)
			}
			return
		}
		defer func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}()
		if err := graph.Verify(m.Graph); err != nil {
			t.Fatalf("what was imported breaks the rules: %v", err)
		}
		if _, err := passes.Run(m.Graph, table, passes.Knowledge{}); err != nil {
			refused(t, err)
			return
		}
		in, ok := zeros(m.Graph)
		if !ok || !small(m.Graph) {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := table.Run(ctx, m.Graph, in, nil); err != nil {
			refused(t, err)
		}
	})
}

// refused fails unless the error is one that says what is wrong with a model.
func refused(t *testing.T, err error) {
	t.Helper()
	for _, want := range []error{graph.ErrInvalid, graph.ErrType, graph.ErrCycle, op.ErrInput, op.ErrUnsupported} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%v wraps no sentinel", err)
}

// maxFuzzed bounds the elements of each tensor in a run of FuzzModel.
const maxFuzzed = 1 << 12

// zeros returns an input of zeros for each of the graph's, with 2 for every symbol.
func zeros(g *graph.Graph) ([]*graph.Tensor, bool) {
	in := make([]*graph.Tensor, len(g.Inputs))
	for i, v := range g.Inputs {
		if !v.Type.Flat() || !v.Type.Shape.Ranked() {
			return nil, false
		}
		shape := make([]int64, len(v.Type.Shape))
		for k, d := range v.Type.Shape {
			var ok bool
			if shape[k], ok = d.Int(); !ok {
				shape[k] = 2
			}
		}
		if n, err := graph.Elements(shape); err != nil || n > maxFuzzed {
			return nil, false
		}
		t, err := graph.NewTensor(v.Type.DType, shape...)
		if err != nil {
			return nil, false
		}
		in[i] = t
	}
	return in, true
}

// small reports whether inference proves that every value has few elements, and
// that nothing loops. Symbols count as 64, for what they may come to in sums.
func small(g *graph.Graph) bool {
	for _, n := range g.Nodes {
		if len(n.Bodies) > 0 {
			return false
		}
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			if !v.Type.Flat() || !v.Type.Shape.Ranked() {
				return false
			}
			shape := make([]int64, len(v.Type.Shape))
			for k, d := range v.Type.Shape {
				name := map[string]bool{}
				d.Symbols(name)
				for s := range name {
					if strings.Contains(s, "#") { // only running tells
						return false
					}
				}
				var ok bool
				if shape[k], ok = d.Int(); !ok {
					shape[k] = 64
				}
			}
			if n, err := graph.Elements(shape); err != nil || n > maxFuzzed {
				return false
			}
		}
	}
	return true
}
