package tests

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	comparing "mnnconv/runtime/compare"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// fault is what one simulated device does wrong.
type fault struct {
	attribute func(n *graph.Node)    // changes a node while it is compiled, and nowhere else
	fused     bool                   // only where its kernel has others beside it
	transfer  func(dst runtime.View) // runs behind a transfer
	lazy      bool                   // a launch runs once, however often it is submitted
}

// faulty is sim with a fault on sim:1.
type faulty struct {
	*sim.Backend
	fault fault
}

func (b faulty) Open(p partition.Profile) (runtime.Device, error) {
	d, err := b.Backend.Open(p)
	if err != nil || p.Name != "sim:1" {
		return d, err
	}
	return faultyDevice{d, b.fault}, nil
}

type faultyDevice struct {
	runtime.Device
	fault fault
}

func (d faultyDevice) Compile(p *partition.Partition) (runtime.Program, error) {
	if d.fault.attribute != nil {
		for _, n := range p.Nodes {
			if d.fault.fused && slices.ContainsFunc(p.Kernels, func(k partition.Kernel) bool { return len(k.Nodes) == 1 && k.Nodes[0] == n }) {
				continue
			}
			attrs := n.Attrs
			n.Attrs = append([]graph.Attr{}, attrs...)
			d.fault.attribute(n)
			defer func() { n.Attrs = attrs }()
		}
	}
	prog, err := d.Device.Compile(p)
	if err != nil || !d.fault.lazy {
		return prog, err
	}
	return lazyProgram{prog}, nil
}

func (d faultyDevice) Transfer(dst, src runtime.View, waits []runtime.Event) (runtime.Event, error) {
	e, err := d.Device.Transfer(dst, src, waits)
	if err == nil && d.fault.transfer != nil {
		err = e.Wait(context.Background())
		d.fault.transfer(dst)
	}
	return e, err
}

type lazyProgram struct{ runtime.Program }

func (p lazyProgram) Record(b runtime.Bindings) (runtime.Launch, error) {
	l, err := p.Program.Record(b)
	return &lazyLaunch{Launch: l}, err
}

type lazyLaunch struct {
	runtime.Launch
	done runtime.Event
}

func (l *lazyLaunch) Submit(ctx context.Context, waits []runtime.Event) (runtime.Event, error) {
	var err error
	if l.done == nil {
		l.done, err = l.Launch.Submit(ctx, waits)
	}
	return l.done, err
}

// setting changes an attribute of the nodes of an operator.
func setting(op, attr string, value any) fault {
	return fault{attribute: func(n *graph.Node) {
		if n.Op == op {
			n.SetAttr(attr, value)
		}
	}}
}

// broken are options with a fault in the device sim:1.
func broken(place string, f fault) mnnconv.Options {
	o := options(place)
	o.Backends[1] = faulty{&sim.Backend{Table: o.Load.Table}, f}
	o.Session.Capacity = 128
	o.Load.MinPixels, o.Load.MaxPixels = 7056, 25088
	return o
}

// compared opens a comparison; all is closed with the test.
func compared(t *testing.T, path string, o mnnconv.Options, co mnnconv.CompareOptions) *mnnconv.Comparison {
	t.Helper()
	src, err := mnnconv.Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := mnnconv.NewComparison(src, o, co)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ask asks the conversation with one picture for a prefill and two decode steps.
func ask(t *testing.T, c *mnnconv.Comparison, all []Conversation) func() error {
	q := all[0].Asking(t)
	return func() error { return c.Ask(context.Background(), q, 3) }
}

// TestCompareHonest wants no alarm where nothing is wrong.
func TestCompareHonest(t *testing.T) {
	all := Conversations(t)
	for export, place := range map[string]string{
		"tjs-fp16":       "vision=sim:0,llm=sim:1",
		"tjs-q4f16":      "vision.blocks.1=sim:0,llm.layers.0-1=sim:0,llm.layers.2-3=sim:1",
		"olive-cpu-int4": "sim:1",
	} {
		t.Run(export, func(t *testing.T) {
			c := compared(t, Export(t, export), broken(place, fault{}), mnnconv.CompareOptions{})
			if err := ask(t, c, all)(); err != nil {
				t.Fatal(err)
			}
			r := c.Report()
			if r.Verdict != comparing.Same || r.Calls != 4 || len(r.Tensors) < 10 {
				t.Errorf("%s, %d calls, %d tensors: %s", r.Verdict, r.Calls, len(r.Tensors), r.Sentence)
			}
			for _, x := range r.Tensors {
				const ranking = "best_tokens" // places of floats that honest rounding may order otherwise
				if x.Cosine < 0.999 && x.Name != ranking || x.Max > x.Tolerance || math.IsNaN(x.Mean) || x.NaN+x.Inf > 0 {
					t.Errorf("%+v", x)
				}
			}
		})
	}
}

// TestCompareFaults plants faults in one device and wants the partition and the node
// named, and a small case that shows each fault again.
func TestCompareFaults(t *testing.T) {
	all := Conversations(t)
	dir := Export(t, "tjs-fp16")
	for _, f := range []struct {
		name  string
		place string
		fault fault
		phase string
		node  string
		part  string // of the call
		most  int    // nodes of the case: with SwiGLU, those of both products, of their weights' Casts, of the gate and of their Mul
	}{
		{"epsilon", "vision=sim:0,llm=sim:1", setting("RMSNormalization", "epsilon", float32(1e-5)), "extend", "llm.layers.0.norm1", "prefill", 2},
		{"rope in pairs", "llm.layers.2-3=sim:1", setting("RotaryEmbedding", "interleaved", int64(1)), "extend", "llm.layers.2.attn.rope", "prefill", 2},
		{"scale", "vision=sim:1", setting("SegmentedAttention", "scale", float32(0.2)), "encode", "vision.blocks.0.attn", "", 2},
		{"swish", "vision.blocks.1=sim:1", setting("Swish", "alpha", float32(1.01)), "encode", "vision.blocks.1.mlp.swish", "", 6},
		{"transfer", "vision=sim:0,llm=sim:1", fault{transfer: flip}, "extend", "image_rows@sim:1", "prefill", 2},
	} {
		t.Run(f.name, func(t *testing.T) {
			o := broken(f.place, f.fault)
			c := compared(t, dir, o, mnnconv.CompareOptions{})
			if err := ask(t, c, all)(); err != nil {
				t.Fatal(err)
			}
			r := c.Report()
			for _, p := range r.Partitions {
				if wrong := p.Verdict == comparing.Wrong; wrong != (p.Target == "sim:1") || wrong && (p.First != f.node || p.Phase != f.phase || p.Part != f.part) {
					t.Errorf("%s of %s: %+v", p.Verdict, f.name, p)
				}
			}
			if !strings.Contains(r.Sentence, "(sim:1) is wrong by itself, first at "+f.node) || r.Verdict != comparing.Differs {
				t.Errorf("%s: %q", r.Verdict, r.Sentence)
			}

			c = compared(t, dir, o, mnnconv.CompareOptions{})
			found, err := c.Bisect(ask(t, c, all))
			if err != nil || found == nil {
				t.Fatalf("%v, %v", found, err)
			}
			if most := int(math.Log2(float64(found.Nodes))) + 2; found.First != f.node || found.Runs > most {
				t.Errorf("%s in %d runs, want %s in %d", found.First, found.Runs, f.node, most)
			}
			saved := filepath.Join(t.TempDir(), "case")
			k, err := mnnconv.SaveCase(context.Background(), nil, found, saved)
			if err != nil {
				t.Fatal(err)
			}
			if len(k.Graph.Nodes) > f.most || len(k.To) > 0 && k.To["tokens"] >= k.From["tokens"] && k.To["rows"] >= k.From["rows"] {
				t.Errorf("the case is not small: %d nodes, %v of %v", len(k.Graph.Nodes), k.To, k.From)
			}
			calls, err := mnnconv.Recorded(filepath.Join(saved, "inputs"))
			if err != nil {
				t.Fatal(err)
			}
			for _, replay := range []struct{ place, want string }{{"sim:1", comparing.Differs}, {"sim:0", comparing.Same}} {
				o.Place = replay.place
				again := compared(t, filepath.Join(saved, "model.onnx"), o, mnnconv.CompareOptions{})
				if err := again.Run(context.Background(), calls[0]); err != nil {
					t.Fatal(err)
				}
				if r := again.Report(); r.Verdict != replay.want {
					t.Errorf("the case on %s: %s, want %s: %s", replay.place, r.Verdict, replay.want, r.Sentence)
				}
			}
		})
	}
}

// flip changes a byte of larger tensors that a transfer brings to the host.
func flip(dst runtime.View) {
	if h, ok := dst.Buffer.(runtime.HostBuffer); ok && dst.Size > 2000 {
		if b, err := h.Bytes(); err == nil {
			b[dst.Offset+1000] ^= 1
		}
	}
}

// TestCompareEdges compares a graph that computes in float16 between inputs and outputs in
// float32: what is rounded otherwise is no fault, and a fault is found, also at the output.
func TestCompareEdges(t *testing.T) {
	const rows, k, cols = 64, 4, 64
	r := rand.New(rand.NewPCG(1, 2))
	numbers := func(d graph.DType, shape ...int64) *graph.Tensor {
		x, err := graph.NewTensor(d, shape...)
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float32, x.Len())
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		if err := x.SetFloat32s(v); err != nil {
			t.Fatal(err)
		}
		return x
	}
	g := graph.New("edges")
	v := g.NewInput("x", graph.TensorOf(graph.Float32, rows, k))
	then := func(op string, version int, name string, more ...*graph.Value) *graph.Node {
		n := g.NewNode("", op, version, append([]*graph.Value{v}, more...), name)
		n.Name, v = name, n.Outputs[0]
		g.Append(n)
		return n
	}
	then("Cast", 24, "narrow").SetAttr("to", int64(graph.Float16))
	then("MatMul", 13, "product", g.NewConst("w", numbers(graph.Float16, k, cols)))
	then("Add", 14, "sum", g.NewConst("b", numbers(graph.Float16, cols)))
	then("Swish", 24, "swish")
	then("Cast", 24, "y").SetAttr("to", int64(graph.Float32))
	g.Outputs = []*graph.Value{v}
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "edges.onnx")
	if err := pack.WriteGraph(nil, path, g, nil, nil); err != nil {
		t.Fatal(err)
	}
	call := comparing.Call{Phase: "graph", Inputs: comparing.Trace{"x": numbers(graph.Float32, rows, k)}}
	for _, run := range []struct {
		place      string
		partitions int
		verdict    string
	}{{"sim:0", 1, comparing.Same}, {"/narrow|product|sum|swish/=sim:0", 2, comparing.Same}, {"sim:1", 1, comparing.Wrong}} {
		c := compared(t, path, broken(run.place, setting("Swish", "alpha", float32(2))), mnnconv.CompareOptions{})
		if err := c.Run(context.Background(), call); err != nil {
			t.Fatal(err)
		}
		report := c.Report()
		y, part := report.Tensors[len(report.Tensors)-1], report.Partitions[len(report.Partitions)-1]
		if len(report.Partitions) != run.partitions || y.Verdict != run.verdict || part.Verdict != run.verdict || run.verdict == comparing.Wrong && part.First != "swish" {
			t.Errorf("%s: %+v, %+v", run.place, part, y)
		}
		single := partition.ToleranceOf(graph.Float32)
		if y.DType != "float32" || y.Cascade.Max <= 2*(single.Absolute+single.Relative*y.Cascade.Max/y.Cascade.Relative) {
			t.Errorf("%s: %+v is within what float32 tolerates: the graph rounds nothing otherwise", run.place, y)
		}
	}
}

// TestCompareCascade wants a partition named that is right alone and wrong where the
// plan has it run, and the one behind it, which is not to blame.
func TestCompareCascade(t *testing.T) {
	c := compared(t, Export(t, "tjs-fp16"), broken("llm.layers.0=sim:1", fault{lazy: true}), mnnconv.CompareOptions{})
	if err := ask(t, c, Conversations(t))(); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Report().Partitions {
		switch {
		case p.Target == "sim:1":
			if p.Verdict != comparing.Wrong || p.Part != "decode" || !strings.Contains(p.Why, "alone it is right") {
				t.Errorf("%+v", p)
			}
		case p.Verdict == comparing.Wrong:
			t.Errorf("%+v", p)
		}
	}
	if s := c.Report().Sentence; !strings.Contains(s, "only inherits") {
		t.Error(s)
	}
}
