package tests_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// TestCutInsideKernels cuts the bundled model within each kind of kernel that the
// processor makes of several nodes: two kernels run in its place. Their numbers are the
// same but for the rounding to float16 at the cut, which one kernel leaves out.
func TestCutInsideKernels(t *testing.T) {
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Backends: []runtime.Backend{&cpu.Backend{Table: table}}}
	dir := tests.Export(t, "tjs-fp16")
	src, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := src.MakeWeights(); err != nil {
		t.Fatal(err)
	}
	graphs := map[string]*graph.Graph{}
	for _, ph := range src.Phases {
		g, _ := ph.Graph.Clone()
		g.States = nil // they come and go as other values do
		graphs[ph.Name] = g
	}
	plans, err := mnnconv.Plan(src, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		in := phaseInputs(t, graphs[p.Phase])
		whole, err := runCut(t, graphs[p.Phase], nil, in)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]bool{}
		for _, k := range p.Partitions()[0].Kernels {
			var ops []string
			for _, n := range k.Nodes {
				ops = append(ops, n.Op)
			}
			kind := strings.Join(ops, " ")
			if len(ops) < 2 || kinds[kind] {
				continue
			}
			kinds[kind] = true
			last := k.Nodes[len(k.Nodes)-1]
			rules, err := partition.ParseRules(last.Path + "=sim:0")
			if err != nil {
				t.Fatal(err)
			}
			got, err := runCut(t, graphs[p.Phase], append(rules, partition.FallbackTo("cpu")), in)
			if err != nil {
				t.Errorf("%s cut before %s: %v", kind, last.Path, err)
				continue
			}
			for i, w := range whole {
				name := p.Graph.Outputs[i].Name
				if got[i].DType != w.DType || !slices.Equal(got[i].Shape, w.Shape) {
					t.Errorf("%s cut before %s: %s is %s, whole %s", kind, last.Path, name, got[i].Type(), w.Type())
				} else if c := cosine(t, got[i], w); w.DType == graph.Float16 && !(c >= 0.999) {
					t.Errorf("%s cut before %s: %s has a cosine of %.6f with the whole one", kind, last.Path, name, c)
				}
			}
		}
		t.Logf("%s: %d kinds of kernels: %v", p.Phase, len(kinds), kinds)
		if len(kinds) == 0 {
			t.Errorf("%s: no kernel of several nodes", p.Phase)
		}
	}
}

// cosine is that of the angle between two tensors of floats; 1 of others.
func cosine(t *testing.T, a, b *graph.Tensor) float64 {
	t.Helper()
	if !a.DType.IsFloat() {
		return 1
	}
	x, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	var xy, xx, yy float64
	for i := range x {
		xy, xx, yy = xy+float64(x[i])*float64(y[i]), xx+float64(x[i])*float64(x[i]), yy+float64(y[i])*float64(y[i])
	}
	return xy / math.Sqrt(xx*yy)
}

// phaseInputs are numbers for a phase's inputs: a picture of 16 patches, or three tokens
// of which one shows a picture.
func phaseInputs(t *testing.T, g *graph.Graph) []*graph.Tensor {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	env := graph.Env{"rows": 4, "cu_window_seqlens.length": 2, "cu_seqlens.length": 2, "tokens": 3, "capacity": 8}
	values := map[string][]int64{"window_index": {2, 0, 1, 3}, "reverse_window_index": {1, 2, 0, 3}, "cu_window_seqlens": {0, 16}, "cu_seqlens": {0, 16},
		"step": {5, 6, 7, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}, "image_rows_at": {0, 1}}
	var in []*graph.Tensor
	for _, v := range g.Inputs {
		if strings.HasPrefix(v.Name, "image_rows") {
			env["rows"] = 1
		}
		shape, err := v.Type.Shape.Eval(env)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", v.Name, err))
		}
		x, err := graph.NewTensor(v.Type.DType, shape...)
		if err != nil {
			t.Fatal(err)
		}
		switch v.Type.DType {
		case graph.Int64:
			for i, ints := 0, graph.View[int64](x); i < len(ints); i++ {
				ints[i] = r.Int64N(4)
			}
			copy(graph.View[int64](x), values[v.Name])
		case graph.Float16:
			for i, halves := 0, graph.View[uint16](x); i < len(halves); i++ {
				halves[i] = uint16(r.IntN(0x3c00)) | uint16(r.IntN(2))<<15 // below 1
			}
		default:
			t.Fatalf("%s is %s", v.Name, v.Type)
		}
		in = append(in, x)
	}
	return in
}
