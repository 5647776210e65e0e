package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

// TestTemplate makes the template's own shape of the template: nothing may change
// but the names of copied layers.
func TestTemplate(t *testing.T) {
	for file, scale := range map[string]func(*onnx.Model, shape) error{
		"onnx/vision_encoder_fp16.onnx": scaleVision, "onnx/embed_tokens_fp16.onnx": scaleEmbedding, "onnx/decoder_model_merged_fp16.onnx": scaleDecoder,
	} {
		t.Run(file, func(t *testing.T) {
			want, err := template(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := template(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := scale(got, shapes["tiny"]); err != nil {
				t.Fatal(err)
			}
			sameGraph(t, got.Graph, want.Graph)
		})
	}
}

// sameGraph compares what two graphs compute, up to names and weights' data.
func sameGraph(t *testing.T, got, want *graph.Graph) {
	t.Helper()
	if len(got.Nodes) != len(want.Nodes) || len(got.Inputs) != len(want.Inputs) || len(got.Outputs) != len(want.Outputs) {
		t.Fatalf("%d nodes, %d inputs, %d outputs, want %d, %d, %d", len(got.Nodes), len(got.Inputs), len(got.Outputs), len(want.Nodes), len(want.Inputs), len(want.Outputs))
	}
	twin := map[*graph.Value]*graph.Value{}
	for i, v := range want.Inputs {
		twin[v] = got.Inputs[i]
		if g := got.Inputs[i]; g.Name != v.Name || !g.Type.Shape.Equal(v.Type.Shape) {
			t.Errorf("input %d is %s %s, want %s %s", i, g.Name, g.Type, v.Name, v.Type)
		}
	}
	for i, w := range want.Nodes {
		g := got.Nodes[i]
		if g.Op != w.Op || len(g.Inputs) != len(w.Inputs) || len(g.Outputs) != len(w.Outputs) {
			t.Fatalf("node %d is %s, want %s", i, g.ID(), w.ID())
		}
		for k, v := range w.Inputs {
			x := g.Inputs[k]
			switch {
			case v == nil || x == nil:
				if v != nil || x != nil {
					t.Errorf("%s: input %d is %v, want %v", w.ID(), k, x, v)
				}
			case v.Const != nil:
				if x.Const == nil || !x.Type.Shape.Equal(v.Type.Shape) || x.Const.Data != nil && !bytes.Equal(x.Const.Data, v.Const.Data) {
					t.Errorf("%s: input %d is the constant %s %s, want %s %s", w.ID(), k, x.Name, x.Type, v.Name, v.Type)
				}
			case twin[v] != x:
				t.Errorf("%s: input %d is %s, want %s", w.ID(), k, x.Name, v.Name)
			}
		}
		for k, v := range w.Outputs {
			twin[v] = g.Outputs[k]
		}
		a, b := g.Tensor("value"), w.Tensor("value")
		if (a == nil) != (b == nil) || a != nil && !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s: value %v, want %v", w.ID(), a, b)
		}
	}
	for i, v := range want.Outputs {
		if twin[v] != got.Outputs[i] || v.Name != got.Outputs[i].Name {
			t.Errorf("output %d is %s, want %s", i, got.Outputs[i].Name, v.Name)
		}
	}
}

// TestRuns runs a model of more layers than the template has, a turn of tokens and
// a picture, and wants finite numbers of the expected size; in each type, and with a
// vision tower of another.
func TestRuns(t *testing.T) {
	for _, types := range [][2]graph.DType{
		{graph.Float16, graph.Float16}, {graph.Float16, graph.Float32}, {graph.Float16, graph.BFloat16},
		{graph.BFloat16, graph.BFloat16}, {graph.BFloat16, graph.Float32}, {graph.Float32, graph.Float32},
	} {
		t.Run(types[0].String()+" "+types[1].String(), func(t *testing.T) { runs(t, types[0], types[1]) })
	}
}

func runs(t *testing.T, language, vision graph.DType) {
	dir := filepath.Join(t.TempDir(), "model")
	s := shapes["tiny"].cut(6, 5)
	s.Type, s.Vision.Type = language, vision
	if err := write(dir, s, false); err != nil {
		t.Fatal(err)
	}
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Backends: []runtime.Backend{&cpu.Backend{Table: table}}}
	source, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if n := source.Phases[1].Report.Raised["Attention"]; n != 6 {
		t.Errorf("%d attentions in the language model, want 6", n)
	}
	if n := source.Phases[0].Report.Raised["SegmentedAttention"]; n != 5 {
		t.Errorf("%d attentions in the vision tower, want 5", n)
	}
	program, err := mnnconv.Open(source, o)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	chat, err := program.Chat(64)
	if err != nil {
		t.Fatal(err)
	}
	defer chat.Close()
	session := chat.(*qwen25vl.Session)
	q := qwen25vl.Prepared{Grids: []qwen25vl.Grid{{T: 1, H: 4, W: 4}}, Pixels: make([]float32, 16*1176)}
	for i := range q.Pixels {
		q.Pixels[i] = float32(i%7) - 3
	}
	for i, id := range []int32{300, 514, 514, 514, 514, 301} {
		q.IDs = append(q.IDs, id)
		for a := range q.Positions {
			q.Positions[a] = append(q.Positions[a], int64(i))
		}
	}
	p, err := session.Prepare(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := p.Rows().Float32s()
	if err != nil {
		t.Fatal(err)
	}
	logits, err := session.Extend(t.Context(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string][]float32{"rows": rows, "logits": logits} {
		if mean, dev := moments(v); !(math.Abs(mean) < 0.02 && dev > 0.01 && dev < 1) {
			t.Errorf("%s: %d numbers of mean %g and deviation %g", what, len(v), mean, dev)
		}
	}
}

func TestNoise(t *testing.T) {
	n := newNoise(false)
	const count = 3<<20 + 3
	a, b := make([]uint16, count), make([]uint16, count)
	n.weight("a", nil, a)
	n.weight("a", nil, b)
	if !equal(a, b) {
		t.Error("one name gives two noises")
	}
	n.weight("b", nil, b)
	if equal(a, b) {
		t.Error("two names give one noise")
	}
	v := make([]float32, count)
	for i, x := range a {
		v[i] = graph.F16ToF32(x)
	}
	if mean, dev := moments(v); math.Abs(mean) > 1e-4 || math.Abs(dev-deviation) > 1e-4 {
		t.Errorf("mean %g, deviation %g", mean, dev)
	}
	n.weight(headWeight, nil, b)
	for i, x := range b {
		v[i] = graph.F16ToF32(x)
	}
	if _, dev := moments(v); math.Abs(dev-deviation/4) > 1e-4 {
		t.Errorf("the head's deviation is %g", dev)
	}
	n.weight("v.blocks.3.norm2.weight", nil, b[:8])
	if b[7] != 0x3c00 {
		t.Errorf("a norm's weight is %g", graph.F16ToF32(b[7]))
	}
}

func equal(a, b []uint16) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func moments(v []float32) (mean, deviation float64) {
	var sum, squares float64
	for _, x := range v {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	mean = sum / float64(len(v))
	return mean, math.Sqrt(squares/float64(len(v)) - mean*mean)
}

func TestCut(t *testing.T) {
	s := shapes["3b"].cut(4, 10)
	if s.Layers != 4 || s.Vision.Blocks != 10 || len(s.Vision.Full) != 2 || s.Vision.Full[0] != 7 || s.Vision.Full[1] != 9 {
		t.Errorf("%+v", s)
	}
	if s := shapes["3b"].cut(0, 0); s.Layers != 36 || s.Vision.Blocks != 32 || len(s.Vision.Full) != 4 {
		t.Errorf("%+v", s)
	}
}

func TestWriteRefusesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir, shapes["tiny"], false); !os.IsExist(err) {
		t.Errorf("%v", err)
	}
}

// TestTied reads the head of a tied model, which is the table, transposed.
func TestTied(t *testing.T) {
	const words, width = 130, 3
	n := newNoise(true)
	table, head := make([]uint16, words*width), make([]uint16, words*width)
	n.weight(embedWeight, []int64{words, width}, table)
	n.weight(headWeight, []int64{width, words}, head)
	for w := range words {
		for c := range width {
			if head[c*words+w] != table[w*width+c] {
				t.Fatalf("word %d, column %d: %04x in the head, %04x in the table", w, c, head[c*words+w], table[w*width+c])
			}
		}
	}
}
