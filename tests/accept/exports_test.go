//go:build accept

package accept

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// variant is an export of the random model with what is wanted of it.
type variant struct {
	name       string
	checkpoint string
	// logits names the array that first-step logits are compared with: "PyTorch",
	// or a file beside the export.
	logits string
	bound  float64
	tokens string   // whose 16 tokens are wanted: "PyTorch", "golden", or both
	rows   string   // "golden": image rows are those that the results were computed over; empty: the export's own vision tower's
	cases  []string // nil: all
}

var caseNames = []string{"text", "square", "wide", "two", "tall", "video"}

var variants = []variant{
	{name: "torch-dynamo-op23", checkpoint: "untied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch"},
	{name: "torchscript-op17", checkpoint: "tied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch"},
	{name: "mnn-tied", checkpoint: "tied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch"},
	{name: "hf5-op20", checkpoint: "tied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch"},
	{name: "hf5-op23", checkpoint: "untied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch"},
	{name: "hf5-multi", checkpoint: "tied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch"},
	{name: "genai-0.18-fp32-ids", checkpoint: "tied", logits: "PyTorch", bound: 1e-3, tokens: "PyTorch", cases: []string{"text"}},
	{name: "tjs-fp16", checkpoint: "tied", logits: "PyTorch", bound: 0.1, tokens: "either"},
	{name: "olive-cuda-fp16", checkpoint: "untied", logits: "PyTorch", bound: 0.1, tokens: "either"},
	{name: "genai-0.13-fp16-cuda", checkpoint: "tied", logits: "PyTorch", bound: 0.1, tokens: "either"},
	{name: "hf5-ortcuda-fp16", checkpoint: "tied", logits: "PyTorch", bound: 0.1, tokens: "either"},
	{name: "tjs-q4", checkpoint: "tied", logits: "logits_last_dequantised", bound: 0.02, tokens: "golden"},
	{name: "tjs-q4f16", rows: "golden", checkpoint: "tied", logits: "logits_last_dequantised", bound: 0.05, tokens: "golden"},
	{name: "genai-0.13-int4", checkpoint: "tied", logits: "logits_last_dequantised", bound: 0.02},
	{name: "genai-0.18-int4-cuda", checkpoint: "tied", logits: "logits_last_dequantised", bound: 0.05, tokens: "golden"},
	{name: "olive-cpu-int4", checkpoint: "tied", logits: "logits_last_dequantised", bound: 0.02, rows: "golden"},
	{name: "tjs-q8", checkpoint: "tied", logits: "logits_last", bound: 0.1, tokens: "golden"},
	{name: "tjs-uint8", checkpoint: "tied", logits: "logits_last", bound: 0.1, tokens: "golden"},
	{name: "tjs-q8", rows: "golden", checkpoint: "tied", logits: "logits_last", bound: 0.1, tokens: "golden"},
	{name: "tjs-uint8", rows: "golden", checkpoint: "tied", logits: "logits_last", bound: 0.1, tokens: "golden"},
	{name: "tjs-bnb4", checkpoint: "tied", logits: "logits_last", bound: 0.1, tokens: "golden"},
	{name: "genai-0.18-bf16-cuda", checkpoint: "tied", logits: "PyTorch", bound: 0.3},
}

func (v variant) String() string {
	if v.rows == "golden" {
		return v.name + " over onnxruntime's rows"
	}
	return v.name
}

// random opens a session over one of the random model's exports.
func random(t *testing.T, dir string) (*qwen25vl.Session, *qwen25vl.Model) {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{
		Load:     models.Options{Table: table},
		Models:   []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}},
	}
	source, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	opened, err := mnnconv.Open(source, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	chat, err := opened.Chat(512)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chat.Close() })
	return chat.(*qwen25vl.Session), source.Model.(*qwen25vl.Model)
}

// TestAcceptExports runs every export of the random model over every case.
func TestAcceptExports(t *testing.T) {
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			s, m := random(t, shared("exports", v.name))
			for _, name := range caseNames {
				if v.cases != nil && !slices.Contains(v.cases, name) {
					continue
				}
				in := files(t, shared("exports/common/cases-"+v.checkpoint, name))
				golden := files(t, shared("exports", v.name, "golden", name))
				if v.logits != "PyTorch" && golden[v.logits] == nil {
					continue
				}
				t.Run(name, func(t *testing.T) { v.run(t, s, m, name, in, golden) })
			}
		})
	}
}

// TestAcceptExact remakes the results of exports whose matrices of 4-bit blocks
// quantise activations too, with onnxruntime and without that, and compares their
// logits, rows and tokens: exact is what we compute.
func TestAcceptExact(t *testing.T) {
	python := onnxruntime(t, "onnx==1.23.2")
	for _, name := range []string{"genai-0.13-int4", "olive-cpu-int4"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run(t, ".", python, "testdata/accuracy0.py", shared("exports"), name, dir)
			s, m := random(t, shared("exports", name))
			v := variant{name: name + " at accuracy_level 0", checkpoint: "tied", logits: "logits_last", bound: 0.02, tokens: "golden"}
			for _, c := range caseNames {
				if name == "olive-cpu-int4" && c == "video" {
					continue // its own indexes are wrong there
				}
				in, golden := files(t, shared("exports/common/cases-tied", c)), files(t, filepath.Join(dir, c))
				t.Run(c, func(t *testing.T) { v.run(t, s, m, c, in, golden) })
			}
		})
	}
}

// TestAcceptUnsound runs pictures and videos for which exports compute wrong numbers
// without an error, and wants those of an export that is right for every grid.
func TestAcceptUnsound(t *testing.T) {
	grids := []qwen25vl.Grid{{T: 2, H: 6, W: 12}, {T: 3, H: 10, W: 18}, {T: 2, H: 8, W: 16}, {T: 1, H: 6, W: 10}, {T: 1, H: 12, W: 20}, {T: 4, H: 2, W: 6}}
	for _, c := range []struct {
		export, right string
		bound         float64
		repairs       []string
	}{
		{"olive-cuda-fp16", "torch-dynamo-op23", 0.02, []string{"window_index, which is wrong for grids such as 2×6×12"}},
		{"olive-cpu-int4", "", 0, []string{"window_index, which is wrong for grids such as 2×6×12"}},
		{"hf5-op20", "torchscript-op17", 1e-4, []string{"windows of equal length", "all frames of a video"}},
		{"hf5-multi", "torchscript-op17", 1e-4, []string{"windows of equal length", "all frames of a video"}},
		{"hf5-op23", "torch-dynamo-op23", 1e-4, []string{"windows of equal length", "all frames of a video"}},
		{"hf5-ortcuda-fp16", "torchscript-op17", 0.02, []string{"windows of equal length", "all frames of a video"}},
	} {
		t.Run(c.export, func(t *testing.T) {
			s, m := random(t, shared("exports", c.export))
			said := strings.Join(m.Phases()[0].Report.Repaired, "; ")
			told := true
			for _, r := range c.repairs {
				told = told && strings.Contains(said, r)
			}
			tests.Row(t, told, "export "+c.export+", what is repaired", "said", "%s", said)
			if c.right == "" {
				return
			}
			right, _ := random(t, shared("exports", c.right))
			rng := rand.New(rand.NewPCG(7, 7))
			for _, g := range grids {
				pixels := make([]float32, g.Patches()*1176)
				for i := range pixels {
					pixels[i] = graph.F16ToF32(graph.F32ToF16(float32(rng.NormFloat64())))
				}
				got, err := s.Encode(t.Context(), pixels, g)
				if err != nil {
					t.Fatal(err)
				}
				want, err := right.Encode(t.Context(), pixels, g)
				if err != nil {
					t.Fatal(err)
				}
				d := worst(t, got, want)
				tests.Row(t, d <= c.bound, fmt.Sprintf("export %s, grid %v, rows against %s", c.export, g, c.right), fmt.Sprintf("max error ≤ %g", c.bound), "%.1e", d)
			}
		})
	}
}

// TestAcceptFixedGrid runs a vision tower that was traced for one size of picture, and
// wants every other to be refused.
func TestAcceptFixedGrid(t *testing.T) {
	s, _ := random(t, shared("exports/torchscript-fixedgrid"))
	for _, name := range caseNames[1:] {
		in := files(t, shared("exports/common/cases-tied", name))
		q := prepare(in)
		if name == "two" {
			continue // two pictures, neither of that size
		}
		rows, err := s.Encode(t.Context(), q.Pixels, q.Grids[0])
		if name != "wide" {
			tests.Row(t, errors.Is(err, qwen25vl.ErrFixedGrid) && strings.Contains(err.Error(), "vision_encoder.onnx") && strings.Contains(err.Error(), "1×12×20"),
				"export torchscript-fixedgrid, case "+name, "refused by name and reason", "%v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		d := worst(t, rows, in["ref_image_embeds"])
		tests.Row(t, d <= 1e-3, "export torchscript-fixedgrid, case wide, rows against PyTorch", "max error ≤ 0.001", "%.1e", d)
	}
	turned := qwen25vl.Grid{T: 1, H: 20, W: 12} // as many patches
	_, err := s.Encode(t.Context(), prepare(files(t, shared("exports/common/cases-tied/wide"))).Pixels, turned)
	tests.Row(t, errors.Is(err, qwen25vl.ErrFixedGrid), "export torchscript-fixedgrid, case wide turned by 90°", "refused by name and reason", "%v", err)
}

// run compares one case.
func (v variant) run(t *testing.T, s *qwen25vl.Session, m *qwen25vl.Model, name string, in, golden map[string]*graph.Tensor) {
	q := prepare(in)
	width := in["ref_inputs_embeds"].Shape[2]
	switch {
	case !m.Embeds():
		q.Embeddings, q.Pixels, q.Grids = in["ref_inputs_embeds"].Reshape(int64(len(q.IDs)), width), nil, nil
	case v.rows == "golden" && golden["image_embeds"] != nil:
		q.Rows, q.Pixels, q.Grids = golden["image_embeds"], nil, nil
	}
	p, err := s.Prepare(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	if p.Rows() != nil && q.Rows == nil && q.Embeddings == nil {
		said = fmt.Sprintf(", rows %.1e off PyTorch", worst(t, p.Rows(), in["ref_image_embeds"]))
		if golden["image_embeds"] != nil {
			said += fmt.Sprintf(" and %.1e off onnxruntime", worst(t, p.Rows(), golden["image_embeds"]))
		}
	}
	logits, err := s.Extend(t.Context(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	want, against := in["ref_logits"], v.logits
	if v.logits != "PyTorch" {
		want, against = golden[v.logits], "its "+v.logits
	}
	all, err := want.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	d := worst(t, graph.Floats(logits), graph.Floats(all[len(all)-len(logits):]))
	tests.Row(t, d <= v.bound, fmt.Sprintf("export %s, case %s, logits against %s", v, name, against), fmt.Sprintf("max error ≤ %g", v.bound), "%.1e%s", d, said)
	if v.tokens == "" {
		return
	}
	ours, chosen := v.follow(t, s, m, q, logits, nil, 16)
	reference := graph.View[int64](in["ref_tokens"])
	var own []int64
	if golden["tokens"] != nil {
		own = graph.View[int64](golden["tokens"])
	}
	ok := v.tokens != "golden" && slices.Equal(ours, reference) || v.tokens != "PyTorch" && slices.Equal(ours, own)
	tests.Row(t, ok, fmt.Sprintf("export %s, case %s, tokens of %s", v, name, v.tokens), "16 of 16", "%d of PyTorch's, %d of onnxruntime's%s", prefix(ours, reference), prefix(ours, own), v.parting(t, ok, q, in, ours, chosen))
}

// follow goes on from a question's first logits, by told tokens or, where there are none,
// the likeliest, and returns the tokens and the logits that each was chosen from.
func (v variant) follow(t *testing.T, s *qwen25vl.Session, m *qwen25vl.Model, q qwen25vl.Prepared, logits []float32, told []int64, most int) (tokens []int64, chosen [][]float32) {
	next := int64(0)
	for _, axis := range q.Positions {
		next = max(next, slices.Max(axis))
	}
	table := checkpointTable(t, v.checkpoint)
	for i := range most {
		chosen = append(chosen, slices.Clone(logits))
		id := argmax(logits)
		if told != nil {
			id = told[i]
		}
		if tokens = append(tokens, id); i == most-1 {
			break
		}
		one := qwen25vl.Prepared{IDs: []int32{int32(id)}}
		for a := range one.Positions {
			one.Positions[a] = []int64{next + 1 + int64(i)}
		}
		if !m.Embeds() {
			width := int64(len(table)) / int64(len(logits))
			one.Embeddings = graph.Floats(table[id*width:(id+1)*width], 1, width)
		}
		p, err := s.Prepare(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		if logits, err = s.Extend(t.Context(), p, len(q.IDs)+i); err != nil {
			t.Fatal(err)
		}
	}
	return tokens, chosen
}

// exact are exports in float32 of the checkpoints, whose logits are PyTorch's to some 1e-5.
var exact = map[string]string{"tied": "torchscript-op17", "untied": "torch-dynamo-op23"}

// parting says of a float16 export why its tokens part from PyTorch's, which does not make
// them right: how far apart the two tokens are in float32, how far off either is here,
// and the step between two float16 numbers there, which a logit of the export is.
func (v variant) parting(t *testing.T, ok bool, q qwen25vl.Prepared, in map[string]*graph.Tensor, ours []int64, chosen [][]float32) string {
	if ok || v.tokens != "either" {
		return ""
	}
	reference := graph.View[int64](in["ref_tokens"])
	at := prefix(ours, reference)
	if at == len(reference) {
		return ""
	}
	s, m := random(t, shared("exports", exact[v.checkpoint]))
	q.Embeddings = nil
	if grids := in["grid_thw"]; grids != nil {
		whole := prepare(in)
		q.Pixels, q.Grids = whole.Pixels, whole.Grids
	}
	p, err := s.Prepare(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Extend(t.Context(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, wide := v.follow(t, s, m, q, first, reference, at+1)
	a, b, right, here := reference[at], ours[at], wide[at], chosen[at]
	return fmt.Sprintf("; at token %d two are %.4f apart in float32, %+.4f and %+.4f off here, float16's step is %.4f",
		at+1, right[a]-right[b], here[a]-right[a], here[b]-right[b], math.Exp2(math.Floor(math.Log2(float64(right[a])))-10))
}

func prefix(a, b []int64) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func argmax(x []float32) int64 {
	best := 0
	for i := range x {
		if x[i] > x[best] {
			best = i
		}
	}
	return int64(best)
}

// checkpointTable reads the table of embeddings of a checkpoint, which is stored
// in bfloat16.
func checkpointTable(t *testing.T, checkpoint string) []float32 {
	t.Helper()
	b, err := os.ReadFile(shared("exports/common", "ckpt-"+checkpoint, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b)
	var header map[string]struct {
		DType   string   `json:"dtype"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b[8:8+n], &raw); err != nil {
		t.Fatal(err)
	}
	delete(raw, "__metadata__")
	again, _ := json.Marshal(raw)
	if err := json.Unmarshal(again, &header); err != nil {
		t.Fatal(err)
	}
	e := header["model.embed_tokens.weight"]
	data := b[8+int64(n):][e.Offsets[0]:e.Offsets[1]]
	out, err := (&graph.Tensor{DType: graph.BFloat16, Shape: []int64{int64(len(data) / 2)}, Data: data}).Float32s()
	if err != nil || e.DType != "BF16" {
		t.Fatalf("%s: %v", e.DType, err)
	}
	return out
}
