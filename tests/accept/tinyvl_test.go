//go:build accept

package accept

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/opencl"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/npy"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// shared is the folder of reference data.
func shared(parts ...string) string {
	return filepath.Join(append([]string{os.Getenv("SHARED")}, parts...)...)
}

// placement is where a model runs.
type placement struct {
	export   string
	place    string // rules
	min, max int    // pixels, where the export's own files do not know the model's limits
}

func (p placement) String() string {
	if p.place == "" {
		return p.export
	}
	return p.export + " --place " + p.place
}

// exported opens a chat with one of the small model's exports.
func exported(t *testing.T, p placement) *qwen25vl.Session {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{
		Load:     models.Options{Table: table, MinPixels: p.min, MaxPixels: p.max},
		Models:   []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}, &opencl.Backend{}},
		Place:    p.place,
	}
	source, err := mnnconv.Load(shared("tinyvl/exports", p.export), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	opened, err := mnnconv.Open(source, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	chat, err := opened.Chat(1024)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chat.Close() })
	return chat.(*qwen25vl.Session)
}

// greedy takes the likeliest token, whatever a model's folder says.
func greedy(most int) models.Settings {
	return models.Settings{Most: most, Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}}
}

// tinyvlPlacements are the exports that answer the conversations.
var tinyvlPlacements = []placement{
	{export: "torch-dynamo-op23"},
	{export: "torch-dynamo-op23", place: "vision=sim:0"},
	{export: "tjs-fp16"},
	{export: "tjs-fp16", place: "vision=sim:0"},
	{export: "mnn-tied", min: 7056, max: 50176},
	{export: "mnn-tied", place: "vision=sim:0", min: 7056, max: 50176},
	{export: "olive-cpu-int4", min: 7056, max: 50176},
	{export: "olive-cpu-int4", place: "vision=sim:0", min: 7056, max: 50176},
	{export: "torch-dynamo-op23", place: "opencl:0"},
	{export: "tjs-fp16", place: "opencl:0"},
	{export: "tjs-fp16", place: "vision=opencl:0,llm=cpu"},
	{export: "tjs-fp16", place: "vision=cpu,llm=opencl:0"},
	{export: "tjs-fp16", place: "vision=opencl:0,llm=sim:0"},
	{export: "tjs-fp16", place: "vision=sim:0,llm=opencl:0"},
	{export: "mnn-tied", place: "opencl:0", min: 7056, max: 50176},
	{export: "olive-cpu-int4", place: "opencl:0", min: 7056, max: 50176},
}

func TestAcceptConversations(t *testing.T) {
	list := tests.Conversations(t)
	for _, p := range tinyvlPlacements {
		t.Run(p.String(), func(t *testing.T) {
			s := exported(t, p)
			same := 0
			for _, c := range list {
				a, err := s.Ask(t.Context(), c.Asking(t), greedy(96))
				if err != nil {
					t.Errorf("%s: %v", c.Name, err)
					continue
				}
				if a.Text != c.Text {
					t.Logf("%s: %q, want %q", c.Name, a.Text, c.Text)
					continue
				}
				same++
			}
			tests.Row(t, same == len(list), "conversations, "+p.String(), fmt.Sprintf("the reference text, %d of %d", len(list), len(list)), "%d of %d", same, len(list))
		})
	}
}

// prepare is the question that arrays of inputs make.
func prepare(in map[string]*graph.Tensor) qwen25vl.Prepared {
	var q qwen25vl.Prepared
	for _, id := range graph.View[int64](in["input_ids"]) {
		q.IDs = append(q.IDs, int32(id))
	}
	n := len(q.IDs)
	for a := range q.Positions {
		q.Positions[a] = graph.View[int64](in["position_ids"])[a*n : (a+1)*n]
	}
	grids := in["grid_thw"]
	if grids == nil {
		grids = in["image_grid_thw"]
	}
	if grids != nil {
		for g := range slices.Chunk(graph.View[int64](grids), 3) {
			q.Grids = append(q.Grids, qwen25vl.Grid{T: g[0], H: g[1], W: g[2]})
		}
		q.Pixels = graph.View[float32](in["pixel_values"])
	}
	return q
}

// files reads all arrays of a folder.
func files(t *testing.T, dir string) map[string]*graph.Tensor {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.npy"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*graph.Tensor{}
	for _, path := range paths {
		x, err := npy.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".npy")] = x
	}
	return all
}

// The small model's tokens that end an answer: <|im_end|> and <|endoftext|>.
var tinyvlStops = []int64{504, 502}

// untilStop cuts greedy tokens, which go on whatever they say, at the first that
// ends an answer.
func untilStop(tokens []int64) []int64 {
	if i := slices.IndexFunc(tokens, func(id int64) bool { return slices.Contains(tinyvlStops, id) }); i >= 0 {
		return tokens[:i]
	}
	return tokens
}

// TestAcceptCases compares the tokens of each export with those that onnxruntime
// computes from the same export and the same inputs.
func TestAcceptCases(t *testing.T) {
	for export, count := range map[string]int{"tjs-q4f16": 6, "olive-cpu-int4": 5, "tjs-fp16": 6, "torch-dynamo-op23": 6, "mnn-tied": 6} {
		t.Run(export, func(t *testing.T) {
			s := exported(t, placement{export: export})
			cases, err := filepath.Glob(shared("tinyvl/exports", export, "golden/*/tokens.npy"))
			if err != nil {
				t.Fatal(err)
			}
			same := 0
			for _, file := range cases {
				name := filepath.Base(filepath.Dir(file))
				want := graph.View[int64](files(t, shared("tinyvl/exports", export, "golden", name))["tokens"])
				a, err := s.AskPrepared(t.Context(), prepare(files(t, shared("tinyvl/cases", name))), greedy(len(want)))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				var got []int64
				for _, id := range a.Tokens {
					got = append(got, int64(id))
				}
				if want = untilStop(want); !slices.Equal(got, want) {
					t.Logf("%s: tokens %v, want %v", name, got, want)
					continue
				}
				same++
			}
			tests.Row(t, same == count && len(cases) == count, "cases, "+export, fmt.Sprintf("its own tokens up to the first stop token, %d of %d", count, count), "%d of %d", same, len(cases))
		})
	}
}

// TestAcceptArrays compares image rows and first-step logits of the float32
// exports with PyTorch's, and with those that onnxruntime computes from the same
// export. The table of embeddings of mnn-tied is rounded to bfloat16, and its
// references were computed with the table as it was before: they are compared
// over PyTorch's embeddings.
func TestAcceptArrays(t *testing.T) {
	for _, c := range []struct {
		export, of, inputs, want string
		logits                   string
		embeddings               bool // of the inputs, not the export's own
		bound                    float64
	}{
		{"torch-dynamo-op23", "PyTorch", "golden", "golden", "logits_first", false, 1e-3},
		{"torch-dynamo-op23", "onnxruntime", "cases", "exports/torch-dynamo-op23/golden", "logits_last", false, 1e-3},
		{"mnn-tied", "PyTorch", "cases", "cases", "ref_logits", true, 1e-3},
		{"mnn-tied", "onnxruntime", "cases", "exports/mnn-tied/golden", "logits_last", true, 1e-3},
		{"mnn-tied", "PyTorch, embeddings rounded to bfloat16", "golden", "golden", "logits_first", false, 1e-2},
	} {
		t.Run(c.export+" against "+c.of, func(t *testing.T) {
			s := exported(t, placement{export: c.export})
			rows, logits, pictures, count := 0.0, 0.0, 0, 0
			goldens, err := filepath.Glob(shared("tinyvl", c.want, "*", c.logits+".npy"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range goldens {
				name := filepath.Base(filepath.Dir(file))
				in, want := files(t, shared("tinyvl", c.inputs, name)), files(t, shared("tinyvl", c.want, name))
				q := prepare(in)
				p, err := s.Prepare(t.Context(), q)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, e := range []*graph.Tensor{want["image_embeds"], want["ref_image_embeds"]} {
					if e != nil {
						rows = max(rows, worst(t, p.Rows(), e))
						pictures++
					}
				}
				if c.embeddings {
					e := in["ref_inputs_embeds"]
					q.Embeddings, q.Pixels, q.Grids = e.Reshape(e.Shape[1], e.Shape[2]), nil, nil
					if p, err = s.Prepare(t.Context(), q); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
				got, err := s.Extend(t.Context(), p, 0)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				l, err := want[c.logits].Float32s() // of the last token, or of all
				if err != nil {
					t.Fatal(err)
				}
				logits = max(logits, worst(t, graph.Floats(got), graph.Floats(l[len(l)-len(got):])))
				count++
			}
			wanted := fmt.Sprintf("max error ≤ %.0e", c.bound)
			tests.Row(t, pictures >= 5 && rows <= 1e-3, fmt.Sprintf("image rows, %s against %s", c.export, c.of), "max error ≤ 1e-03", "%.1e over %d cases", rows, pictures)
			tests.Row(t, count >= 6 && logits <= c.bound, fmt.Sprintf("first-step logits, %s against %s", c.export, c.of), wanted, "%.1e over %d cases", logits, count)
		})
	}
}

// worst returns the largest difference of two tensors' elements.
func worst(t *testing.T, a, b *graph.Tensor) float64 {
	t.Helper()
	x, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if len(x) != len(y) {
		t.Fatalf("%v where %v is wanted", a.Shape, b.Shape)
	}
	d := 0.0
	for i := range x {
		e := math.Abs(float64(x[i]) - float64(y[i]))
		if !(e <= d) { // NaN is the worst
			d = e
		}
	}
	return d
}

// asked asks the 200 questions in one batch of the command, and counts the texts that are
// the reference's.
func asked(t *testing.T, mnnconv, model string, flags ...string) (same int, took time.Duration) {
	t.Helper()
	type line struct {
		ID                     int
		Reference, Text, Error string
	}
	parse := func(text []byte) []line {
		var lines []line
		for l := range bytes.Lines(text) {
			var x line
			if err := json.Unmarshal(l, &x); err != nil {
				t.Fatalf("%s: %v", l, err)
			}
			lines = append(lines, x)
		}
		return lines
	}
	questions := shared("tinyvl/vqa/questions.jsonl")
	text, err := os.ReadFile(questions)
	if err != nil {
		t.Fatal(err)
	}
	want := parse(text)
	p := measure(t, append([]string{mnnconv, "run", model, "--batch", questions}, flags...)...)
	got := parse(p.Output)
	if len(want) != 200 || len(got) != len(want) {
		t.Fatalf("%d answers to %d questions, want 200", len(got), len(want))
	}
	for i, l := range got {
		if l.ID == want[i].ID && l.Text == want[i].Reference {
			same++
		} else {
			t.Logf("%v: %+v, want %q", flags, l, want[i].Reference)
		}
	}
	return same, p.Took
}

// TestAcceptQuestions asks two exports.
func TestAcceptQuestions(t *testing.T) {
	mnnconv := program(t, "./cmd/mnnconv")
	for _, export := range []string{"tjs-fp16", "torch-dynamo-op23"} {
		t.Run(export, func(t *testing.T) {
			same, took := asked(t, mnnconv, shared("tinyvl/exports", export))
			tests.Row(t, same >= 199, "questions, "+export, "≥ 199 of 200 texts as the reference", "%d of 200", same)
			codes, _ := asked(t, mnnconv, shared("tinyvl/exports", export), "--state", "int8")
			tests.Row(t, codes >= 199, "questions, "+export+", `--state int8`", "≥ 199 of 200 texts as the reference", "%d of 200", codes)
			tests.Row(t, took <= time.Minute, "200 questions in one `--batch`, "+export, "≤ 60 s", "%.1f s", took.Seconds())
		})
	}
}

// TestAcceptQuantized asks packages of fewer bits, by each arithmetic: what is lost by
// quantised weights is all that may be lost.
func TestAcceptQuantized(t *testing.T) {
	mnnconv := program(t, "./cmd/mnnconv")
	for _, c := range []struct {
		spec  string
		least int
	}{{"int8", 199}, {"llm=int4:32,vision=int8,head=int8,embed=int8", 198}, {"int4", 197}} {
		t.Run(c.spec, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "model.mnnc")
			run(t, ".", mnnconv, "convert", shared("tinyvl/exports/tjs-fp16"), "-o", dir, "--quantize", c.spec)
			for _, math := range []string{"exact", "int8act", "fast"} {
				same, _ := asked(t, mnnconv, dir, "--math", math)
				tests.Row(t, same >= c.least, fmt.Sprintf("questions, package of %s, `--math %s`", c.spec, math), fmt.Sprintf("≥ %d of 200 texts as the reference", c.least), "%d of 200", same)
			}
		})
	}
}

// TestAcceptStart measures how long a person waits for the first word about a
// picture, from the start of the process.
func TestAcceptStart(t *testing.T) {
	var first, took []time.Duration
	for range 5 {
		p := measure(t, program(t, "./cmd/mnnconv"), "run", shared("tinyvl/exports/tjs-fp16"),
			"--image", shared("tinyvl/golden/describe_three/image0.png"), "-p", "Describe the image.")
		first, took = append(first, p.First), append(took, p.Took)
	}
	slices.Sort(first)
	slices.Sort(took)
	tests.Row(t, first[2] <= 500*time.Millisecond, "first token after start, tjs-fp16", "≤ 0.5 s", "%.2f s, the median of 5; the whole answer %.2f s", first[2].Seconds(), took[2].Seconds())
}
