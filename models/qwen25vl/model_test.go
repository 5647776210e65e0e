package qwen25vl

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/tinyvl"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

// A model of three operators: every stage is there, and computes nearly nothing.
const (
	smallTower = `input %pixel_values: float32[patches, 1176] input %image_grid_thw: int64[pictures, 3]
		const %four = int64[2] {-1, 4704} const %shape = int64[2] {4704, 8}
		%blocks = Reshape-17(%pixel_values, %four) %w = ConstantOfShape-17(%shape) %image_features = MatMul-17(%blocks, %w)
		output %image_features`
	smallEmbedding = `input %input_ids: int64[b, s] const %shape = int64[2] {544, 8}
		%table = ConstantOfShape-17(%shape) %inputs_embeds = Gather-17(%table, %input_ids) output %inputs_embeds`
	smallDecoder = `input %inputs_embeds: float32[b, s, 8] input %attention_mask: int64[b, t] input %position_ids: int64[3, b, s]
		input %past_key_values.0.key: float32[b, 1, p, 4] const %shape = int64[2] {8, 544}
		%w = ConstantOfShape-17(%shape) %logits = MatMul-17(%inputs_embeds, %w) output %logits`
)

// change is what a test does to a file of the small model's folder: a new text,
// or nothing to take it away.
type change map[string]string

// small writes the small model's folder, in transformers.js' way, with the side
// files of the bundled one.
func small(t testing.TB, changes change) string {
	t.Helper()
	dir := t.TempDir()
	graphs := map[string]string{"vision.onnx": smallTower, "embed.onnx": smallEmbedding, "decoder.onnx": smallDecoder}
	for name, text := range changes {
		if strings.HasSuffix(name, ".onnx") {
			graphs[name] = text
		}
	}
	for name, text := range graphs {
		if text != "" {
			save(t, filepath.Join(dir, name), text)
		}
	}
	files := map[string]string{}
	for _, name := range []string{"config.json", "generation_config.json", "preprocessor_config.json", "chat_template.json", "tokenizer.json"} {
		b, err := fs.ReadFile(tinyvl.Model(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	for name, text := range changes {
		if !strings.HasSuffix(name, ".onnx") {
			files[name] = text
		}
	}
	for name, text := range files {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load loads a folder that is right.
func load(t testing.TB, dir string, o models.Options) *Model {
	t.Helper()
	o.Table = op.All()
	m, err := Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// edited changes members of one of the bundled model's JSON files; a nil value
// takes the member away.
func edited(t testing.TB, name string, members map[string]any) string {
	t.Helper()
	b, err := fs.ReadFile(tinyvl.Model(), name)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for k, v := range members {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	b, err = json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLoad(t *testing.T) {
	m := load(t, small(t, nil), models.Options{})
	info := m.Info()
	if info.Architecture != "qwen2.5-vl" || info.Family != "transformers.js" || info.Vocabulary != 544 || info.Context != 2048 || len(info.Notes) != 0 {
		t.Errorf("loaded as %+v", info)
	}
	var stages []string
	for _, s := range info.Stages {
		stages = append(stages, s.Name+"="+s.File)
	}
	if got := strings.Join(stages, " "); got != "vision=vision.onnx embed=embed.onnx llm=decoder.onnx head=decoder.onnx" {
		t.Errorf("stages %s", got)
	}
	var phases []string
	for _, p := range m.Phases() {
		phases = append(phases, p.Name+" "+p.Graph.Outputs[0].Name+" "+p.Graph.Outputs[0].Type.String())
		if err := graph.Verify(p.Graph); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	if got := strings.Join(phases, "; "); got != "encode image_rows float32[rows, 8]; extend logits float32[1, 1, 544]" {
		t.Errorf("phases %s", got)
	}
	if len(m.Generate.EOS) == 0 || m.Pictures.MaxPixels == 0 || m.Template == nil {
		t.Errorf("ends %v, pictures %+v", m.Generate.EOS, m.Pictures)
	}
}

// TestLoadWithout takes side files away that have a substitute, which is said.
func TestLoadWithout(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes change
		note    string
		check   func(*Model) bool
	}{
		{"a chat template", change{"chat_template.json": ""}, "Qwen2.5-VL's own", func(m *Model) bool { return m.Template != nil }},
		{"a generation config", change{"generation_config.json": ""}, "", func(m *Model) bool { return m.Generate.EOS[0] == 504 }},
		{"an image processor", change{"preprocessor_config.json": ""}, "--max-pixels", func(m *Model) bool { return m.Pictures.MaxPixels > 0 }},
	} {
		m := load(t, small(t, c.changes), models.Options{})
		if said := strings.Join(m.Notes, "\n"); !strings.Contains(said, c.note) || (c.note == "") != (said == "") || !c.check(m) {
			t.Errorf("without %s: notes %q", c.name, said)
		}
	}
	m := load(t, small(t, nil), models.Options{MinPixels: 3136, MaxPixels: 6272})
	if m.Pictures.MinPixels != 3136 || m.Pictures.MaxPixels != 6272 {
		t.Errorf("pictures get %d to %d pixels", m.Pictures.MinPixels, m.Pictures.MaxPixels)
	}
}

// added is the bundled tokenizer with a token of an id beyond the others.
func added(t testing.TB, id int) string {
	t.Helper()
	b, err := fs.ReadFile(tinyvl.Model(), "tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	tokens, ok := m["added_tokens"].([]any)
	if !ok {
		t.Fatal("the tokenizer has no added tokens")
	}
	return edited(t, "tokenizer.json", map[string]any{"added_tokens": append(tokens, map[string]any{
		"id": id, "content": "<|beyond|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
	})})
}

func TestLoadRefuses(t *testing.T) {
	replaced := func(text string, swaps ...string) string {
		for i := 0; i < len(swaps); i += 2 {
			if !strings.Contains(text, swaps[i]) {
				t.Fatalf("there is no %s", swaps[i])
			}
		}
		return strings.NewReplacer(swaps...).Replace(text)
	}
	for _, c := range []struct {
		name    string
		changes change
		err     error
		want    []string
	}{
		{"no configuration", change{"config.json": ""}, fs.ErrNotExist, []string{"config.json", "llm_config.json", "genai_config.json"}},
		{"another model's configuration", change{"config.json": edited(t, "config.json", map[string]any{"model_type": "llava"})}, ErrConfig, []string{"llava", "qwen2_5_vl"}},
		{"no image token", change{"config.json": edited(t, "config.json", map[string]any{"image_token_id": nil})}, ErrConfig, []string{"config.json", "image_token_id is missing", "vision tower"}},
		{"a broken generation config", change{"generation_config.json": "{"}, nil, []string{"generation_config.json"}},
		{"a broken image processor", change{"preprocessor_config.json": "[]"}, nil, []string{"preprocessor_config.json"}},
		{"a broken template", change{"chat_template.json": "{"}, nil, []string{"chat_template.json"}},
		{"no graph", change{"vision.onnx": "", "embed.onnx": "", "decoder.onnx": ""}, fs.ErrNotExist, []string{".onnx"}},
		{"no vision tower", change{"vision.onnx": ""}, ErrMissing, []string{"decoder.onnx(inputs_embeds", "its vision tower is missing"}},
		{"no decoder", change{"decoder.onnx": ""}, ErrMissing, []string{"vision.onnx is the vision tower", "its decoder is missing"}},
		{"two decoders", change{"decoder_q4.onnx": smallDecoder}, ErrFamily, []string{"decoder.onnx, decoder_q4.onnx"}},
		{"files of different models", change{"vision.onnx": replaced(smallTower, "{4704, 8}", "{4704, 16}")}, graph.ErrType,
			[]string{"vision.onnx", "16", "decoder.onnx", "8", "different models"}},
		{"a tokenizer larger than the vocabulary", change{"tokenizer.json": added(t, 544)}, graph.ErrType, []string{"544", "tokenizer", "different models"}},
		{"a row for each patch", change{"vision.onnx": replaced(smallTower, "{-1, 4704}", "{-1, 1176}", "{4704, 8}", "{1176, 8}")}, ErrFamily,
			[]string{"vision.onnx", `"image_features"`, "one row for each merged token"}},
		{"an operator that is not known", change{"vision.onnx": replaced(smallTower, "MatMul-17", "com.acme::Magic-17")}, op.ErrUnsupported, []string{"vision.onnx", "com.acme.Magic"}},
		{"embeddings of undeclared width", change{"decoder.onnx": replaced(smallDecoder, "[b, s, 8]", "[b, s, w]")}, ErrFamily, []string{"decoder.onnx", `"inputs_embeds"`}},
		{"an input that is not known", change{"decoder.onnx": "input %temperature: float32[] " + replaced(smallDecoder, "%inputs_embeds, %w", "%warm, %w", "%logits =", "%warm = Mul-17(%inputs_embeds, %temperature) %logits =")}, ErrFamily, []string{"decoder.onnx", `"temperature"`}},
		{"a mask that is more than attention's", change{"decoder.onnx": replaced(smallDecoder, "%inputs_embeds, %w", "%warm, %w",
			"%logits =", "%seen = Cast-17(%attention_mask) {to = 1} %part = ReduceMean-17(%seen) {keepdims = 0} %warm = Mul-17(%inputs_embeds, %part) %logits =")},
			ErrFamily, []string{"decoder.onnx", `"attention_mask" is still needed`, `node "warm" (Mul) takes what is made of it`}},
		{"logits that are not projected", change{"decoder.onnx": replaced(smallDecoder, "%w = ConstantOfShape-17(%shape) %logits = MatMul-17(%inputs_embeds, %w)", "%logits = Neg-17(%inputs_embeds)")},
			ErrFamily, []string{"decoder.onnx", `"logits"`, "projection"}},
		{"ids of another dtype", change{"embed.onnx": replaced(smallEmbedding, "int64[b, s]", "int32[b, s]")}, ErrFamily, []string{"embed.onnx", `"input_ids"`, "int64"}},
		{"embeddings of another width", change{"embed.onnx": replaced(smallEmbedding, "{544, 8}", "{544, 4}")}, graph.ErrType, []string{"embed.onnx", "4", "decoder.onnx", "8", "different models"}},
	} {
		_, err := Load(small(t, c.changes), models.Options{Table: op.All()})
		if err == nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not said in %v", c.name, w, err)
			}
		}
	}
	// The largest id that the vocabulary has is none too many.
	load(t, small(t, change{"tokenizer.json": added(t, 543)}), models.Options{})
}

// TestAnswersRefuses has folders that load, and cannot answer in words.
func TestAnswersRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes change
		err     error
		want    string
	}{
		{"no tokenizer", change{"tokenizer.json": ""}, ErrMissing, "tokenizer.json"},
		{"no token that ends an answer", change{"generation_config.json": "", "config.json": edited(t, "config.json", map[string]any{"eos_token_id": nil})}, ErrConfig, "eos_token_id"},
		{"a vision tower alone", change{"embed.onnx": "", "decoder.onnx": ""}, ErrMissing, "a vision tower alone"},
		{"a decoder alone", change{"vision.onnx": "", "embed.onnx": ""}, ErrMissing, "takes embeddings"},
	} {
		m := load(t, small(t, c.changes), models.Options{})
		if err := m.answers(); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v with %s", c.name, err, c.err, c.want)
		}
		if _, _, err := m.Bounds(models.SessionOptions{}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		m.Terms(0)
	}
}

// TestLoadWithoutVision: MNN's folders may hold a language model alone.
func TestLoadWithoutVision(t *testing.T) {
	dir := small(t, change{
		"vision.onnx": "", "embed.onnx": "",
		"decoder.onnx": `input %input_ids: float32[s, 1, 8] input %attention_mask: float32[1, 1, s, s] input %position_ids: int32[3, s] input %logits_index: int32[1]
			const %shape = int64[2] {8, 544} const %turn = int64[3] {1, -1, 8} %w = ConstantOfShape-17(%shape) %x = Reshape-17(%input_ids, %turn) %logits = MatMul-17(%x, %w) output %logits`,
		"embeddings_bf16.bin": strings.Repeat("ab", 544*8),
	})
	m := load(t, dir, models.Options{ONNX: onnx.Options{}})
	if info := m.Info(); info.Family != "MNN llmexport" || len(m.Phases()) != 1 || len(info.Stages) != 3 {
		t.Errorf("loaded as %+v", info)
	}
}
