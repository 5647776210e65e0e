//go:build accept || onnxruntime

package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models/qwen25vl"
	"mnnconv/schemas/npy"
)

// TestAcceptOnnxruntime writes packages of every export and placement, has onnx's
// checker read them, and runs them in onnxruntime with its optimiser off. A cut
// package must give the bits of the uncut one, and that what onnxruntime computes
// from the exporter's own graphs. It looks at the exports kept here, and at all
// where SHARED names the reference data. Python and its packages are installed.
func TestAcceptOnnxruntime(t *testing.T) {
	exports := map[string]float64{"tjs-fp16": 0.05, "tjs-q4f16": 0.05, "olive-cpu-int4": 0.15} // to the largest error; Olive's rounds activations to int8
	if os.Getenv("SHARED") != "" {
		exports["torch-dynamo-op23"], exports["mnn-tied"] = 1e-3, 1e-3 // float32
	}
	python := pythonWith(t, "onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6")
	for export, bound := range exports {
		t.Run(export, func(t *testing.T) {
			dir := exportFolder(t, export)
			work := t.TempDir()
			cases := referenceCases(t, export)
			for _, c := range cases {
				writeCase(t, filepath.Join(work, "cases", c.Name), c, export == "mnn-tied")
			}
			if err := os.WriteFile(filepath.Join(work, "image_tokens.json"), imageTokens(t, dir), 0o644); err != nil {
				t.Fatal(err)
			}
			placements := []string{"", "vision=sim:0,llm=sim:1", "vision.blocks.1=sim:0,llm.layers.0-1=sim:0,llm.layers.2-3=sim:1"}
			args := []string{"testdata/onnxruntime/packages.py", filepath.Join(work, "cases")}
			for _, place := range placements {
				args = append(args, written(t, dir, options(place)))
			}
			results := runPython(t, python, args...)
			if len(results) != len(placements) {
				t.Fatalf("%d results for %d packages", len(results), len(placements))
			}
			half := strings.Contains(export, "f16") || strings.Contains(export, "fp16")
			same := 0
			var rows, logits []float64
			for i, r := range results {
				if (r.Copies == 0) != (placements[i] == "") {
					t.Errorf("--place %q: %d copies", placements[i], r.Copies)
				}
				if len(r.Questions) != len(cases) {
					t.Errorf("--place %q: %d questions, want %d", placements[i], len(r.Questions), len(cases))
				}
				for name, q := range r.Questions {
					if !q.Finite || !q.SameRounded || !half && !q.Same {
						t.Errorf("--place %q, %s: %+v", placements[i], name, q)
						continue
					}
					if first := results[0].Questions[name]; !slices.Equal(q.Tokens, first.Tokens) {
						t.Errorf("--place %q, %s: tokens %v, uncut %v", placements[i], name, q.Tokens, first.Tokens)
					}
					same++
					if q.LogitsError != nil {
						logits = append(logits, *q.LogitsError)
					}
					if q.RowsError != nil {
						rows = append(rows, *q.RowsError)
					}
				}
			}
			all := len(placements) * len(cases)
			bits := "the uncut package's bits"
			if half {
				bits += ", each value rounded"
			}
			Row(t, same == all, "onnx.checker and onnxruntime, packages of "+export, fmt.Sprintf("accepted; %s, %d of %d", bits, all, all), "%d of %d", same, all)
			for what, errs := range map[string][]float64{"image rows": rows, "first-step logits": logits} {
				if len(errs) > 0 { // not all results are kept here
					worst := slices.Max(errs)
					Row(t, worst <= bound, "onnxruntime, "+what+" of packages against the graphs of "+export, fmt.Sprintf("max error ≤ %g", bound), "%.1e over %d", worst, len(errs))
				}
			}
		})
	}
}

// TestAcceptOnnxruntimeQuantized runs packages of fewer bits in onnxruntime: it must
// choose the tokens that we choose.
func TestAcceptOnnxruntimeQuantized(t *testing.T) {
	python := pythonWith(t, "onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6")
	dir := Export(t, "tjs-fp16")
	work := t.TempDir()
	cases := referenceCases(t, "tjs-fp16")
	for _, c := range cases {
		writeCase(t, filepath.Join(work, "cases", c.Name), c, false)
	}
	if err := os.WriteFile(filepath.Join(work, "image_tokens.json"), imageTokens(t, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"int8", "llm=int4:32,vision=int8,head=int8,embed=int8", "int4:16:asym:refine"} {
		path := quantized(t, dir, spec, options(""), nil)
		session := chat(t, path, options("")).(*qwen25vl.Session)
		results := runPython(t, python, "testdata/onnxruntime/packages.py", filepath.Join(work, "cases"), path)
		same, all := 0, 0
		for _, c := range cases {
			got := results[0].Questions[c.Name].Tokens
			set := greedy
			set.Most = len(got)
			a, err := session.AskPrepared(t.Context(), preparedCase(c), set)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			for i, id := range a.Tokens { // ours end at the token that ends an answer
				all++
				if i < len(got) && got[i] == int(id) {
					same++
				}
			}
		}
		Row(t, all > 0 && same*100 >= all*98, "onnxruntime, package of "+spec, "our tokens, ≥ 98 %", "%d of %d", same, all)
	}
}

// preparedCase is a reference input as a question.
func preparedCase(c Case) qwen25vl.Prepared {
	var q qwen25vl.Prepared
	for _, id := range graph.View[int64](c.Inputs["input_ids"]) {
		q.IDs = append(q.IDs, int32(id))
	}
	positions := graph.View[int64](c.Inputs["position_ids"])
	for a := range q.Positions {
		q.Positions[a] = positions[a*len(q.IDs):][:len(q.IDs)]
	}
	if g := c.Inputs["grid_thw"]; g != nil {
		q.Pixels = graph.View[float32](c.Inputs["pixel_values"])
		for v := graph.View[int64](g); len(v) > 0; v = v[3:] {
			q.Grids = append(q.Grids, qwen25vl.Grid{T: v[0], H: v[1], W: v[2]})
		}
	}
	return q
}

// exportFolder is the folder of an export.
func exportFolder(t *testing.T, export string) string {
	t.Helper()
	if shared := os.Getenv("SHARED"); shared != "" {
		return filepath.Join(shared, "tinyvl", "exports", export)
	}
	return Export(t, export)
}

// referenceCases are inputs with what onnxruntime computes from the export. For
// the bundled model without SHARED there are inputs alone.
func referenceCases(t *testing.T, export string) []Case {
	t.Helper()
	shared := os.Getenv("SHARED")
	if shared == "" && export == "tjs-fp16" {
		cases := Cases(t, "tjs-q4f16")
		for i := range cases {
			cases[i].Want = nil
		}
		return cases
	}
	if shared == "" {
		return Cases(t, export)
	}
	results, err := filepath.Glob(filepath.Join(shared, "tinyvl", "exports", export, "golden", "*", "logits_last.npy"))
	if err != nil || len(results) == 0 {
		t.Fatalf("no results of %s: %v", export, err)
	}
	var cases []Case
	for _, r := range results {
		name := filepath.Base(filepath.Dir(r))
		cases = append(cases, Case{Name: name, Inputs: arrays(t, os.DirFS(filepath.Join(shared, "tinyvl", "cases", name))), Want: arrays(t, os.DirFS(filepath.Dir(r)))})
	}
	return cases
}

// writeCase writes what packages.py reads of a question. With embeddings, those of
// the reference stand for all tokens: the results of an export whose own are
// rounded were computed before they were.
func writeCase(t *testing.T, dir string, c Case, embeddings bool) {
	t.Helper()
	out := map[string]*graph.Tensor{"want_rows": c.Want["image_embeds"], "want_logits": c.Want["logits_last"]}
	for _, name := range []string{"input_ids", "position_ids", "pixel_values", "grid_thw"} {
		out[name] = c.Inputs[name]
	}
	if embeddings {
		out["embeddings"] = c.Inputs["ref_inputs_embeds"]
	}
	if grids := c.Inputs["grid_thw"]; grids != nil {
		v := graph.View[int64](grids)
		for k := range len(v) / 3 {
			ix, err := qwen25vl.NewIndexes(qwen25vl.Geometry{Merge: 2, Window: 4}, qwen25vl.Grid{T: v[3*k], H: v[3*k+1], W: v[3*k+2]})
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range ix.Named() {
				out[fmt.Sprintf("%s.%d", name, k)] = graph.Ints(values)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, x := range out {
		if x == nil {
			continue
		}
		if err := npy.Write(nil, filepath.Join(dir, name+".npy"), x); err != nil {
			t.Fatal(err)
		}
	}
}

// imageTokens reads which tokens stand for image rows from the model's side file.
func imageTokens(t *testing.T, dir string) []byte {
	t.Helper()
	src, err := qwen25vl.Load(dir, options("").Load)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	text, err := json.Marshal([]int32{src.Config.ImageToken, src.Config.VideoToken})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// packageResult is a line of packages.py.
type packageResult struct {
	Package   string
	Copies    int
	Questions map[string]struct {
		Same        bool
		SameRounded bool `json:"same_rounded"`
		Finite      bool
		Tokens      []int
		RowsError   *float64 `json:"rows_error"`
		LogitsError *float64 `json:"logits_error"`
	}
}

func runPython(t *testing.T, python string, args ...string) []packageResult {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	var out []packageResult
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r packageResult
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
