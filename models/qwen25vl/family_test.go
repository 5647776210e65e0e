package qwen25vl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx"
)

// save writes an ONNX file of a graph in the text form, without its frame.
func save(t testing.TB, path, lines string) {
	t.Helper()
	g, err := graph.ParseText("graph \"test\" {" + lines + "}")
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	m := &onnx.Model{Graph: g, IRVersion: 8, Opsets: map[string]int64{"": 17, "LlmExporter": 1}}
	if err := onnx.Save(path, m, onnx.SaveOptions{}); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The graphs by which families are told apart: names of inputs and outputs, and
// little else.
const (
	gridTower = `input %pixel_values: float32[patches, 1176] input %image_grid_thw: int64[pictures, 3]
		%grid = Cast-17(%image_grid_thw) {to = 1} %image_features = Add-17(%pixel_values, %grid) output %image_features`
	indexTower = `input %pixel_values: float32[patches, 1176] input %position_ids: int64[patches, 2] input %window_index: int64[n]
		input %cu_seqlens: int64[m] input %cu_window_seqlens: int64[k] %order = Cast-17(%window_index) {to = 1} %rows = Add-17(%pixel_values, %order) output %rows`
	mnnTower = `input %patches: float32[p, 1176] input %position_ids: int32[2, p] input %attention_mask: float32[2, 1, p, p] input %window_index: int32[n]
		%image_embeds = Identity-17(%patches) output %image_embeds`
	embeds = `input %input_ids: int64[b, s] %inputs_embeds = Cast-17(%input_ids) {to = 1} output %inputs_embeds`
	merges = `input %input_ids: int64[b, s] input %image_features: float32[n, 8] %inputs_embeds = Cast-17(%input_ids) {to = 1} output %inputs_embeds`

	decodes = `input %inputs_embeds: float32[b, s, 8] input %attention_mask: int64[b, t] input %position_ids: int64[3, b, s]
		input %past_key_values.0.key: float32[b, 1, p, 4] input %past_key_values.0.value: float32[b, 1, p, 4]
		%logits = Identity-17(%inputs_embeds) output %logits`
	prefills = `input %inputs_embeds: float32[1, s, 8] input %position_ids: int64[4, 1, s] %last_hidden_state = Identity-17(%inputs_embeds)
		%past_key_values.layers.0.keys = Identity-17(%inputs_embeds) output %last_hidden_state output %past_key_values.layers.0.keys`
	heads      = `input %input: float32[1, s, 8] %output = Identity-17(%input) output %output`
	decodesIDs = `input %input_ids: int64[1, 1] input %position_ids: int64[4, 1, 1] input %input.past_key_values.layers.0.keys: float32[1, 1, p, 4]
		%logits = Cast-17(%input_ids) {to = 1} output %logits`
	hiddenTower = `input %hidden_states: float32[patches, 1176] input %grid_thw: int64[1, 3] input %cu_seqlens: int32[2] input %position_ids: int64[patches, 2]
		input %window_index: int64[n] input %cu_window_seqlens: int32[k] %last_hidden_state = Identity-17(%hidden_states) %pooler_output = Identity-17(%hidden_states)
		output %last_hidden_state output %pooler_output`
	mnnDecodes = `input %input_ids: float32[s, 1, 8] input %attention_mask: float32[1, 1, s, s] input %position_ids: int32[3, s] input %logits_index: int32[1]
		%logits = Identity-17(%input_ids) output %logits`
)

// recognised opens a folder of graphs and other files and recognises it.
func recognised(t *testing.T, files map[string]string) (*parts, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".onnx") {
			save(t, path, text)
		} else if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openFolder(dir, onnx.Options{})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f.recognise()
}

func TestRecognise(t *testing.T) {
	table := strings.Repeat("ab", 5*8) // five rows of eight bfloat16 numbers
	for _, c := range []struct {
		name, family string
		files        map[string]string
		check        func(p *parts) bool
	}{
		{"transformers.js", "transformers.js",
			map[string]string{"onnx/vision_encoder_fp16.onnx": gridTower, "onnx/embed_tokens_fp16.onnx": embeds, "onnx/decoder_model_merged_fp16.onnx": decodes},
			func(p *parts) bool {
				return p.vision.inputs["image_grid_thw"].meaning == "grid" && p.embed.features == "" && p.decoder.keep == "" &&
					p.vision.file.path == filepath.Join("onnx", "vision_encoder_fp16.onnx")
			}},
		{"an older name of the grid, files beside each other, logits to keep", "transformers.js",
			map[string]string{"v.onnx": strings.ReplaceAll(gridTower, "image_grid_thw", "grid_thw"), "e.onnx": embeds, "d.onnx": "input %num_logits_to_keep: int64[] " + decodes},
			func(p *parts) bool {
				return p.vision.inputs["grid_thw"].meaning == "grid" && p.decoder.keep == "num_logits_to_keep"
			}},
		{"names of files say nothing", "transformers.js", map[string]string{"decoder.onnx": gridTower, "vision.onnx": embeds, "embed.onnx": decodes}, nil},
		{"olive", "olive", map[string]string{"vision.onnx": gridTower, "embedding.onnx": merges, "text.onnx": decodes},
			func(p *parts) bool { return p.embed.features == "image_features" }},
		{"indexes as inputs", "torch.onnx, indexes as inputs", map[string]string{"v.onnx": indexTower, "e.onnx": embeds, "d.onnx": decodes},
			func(p *parts) bool { return p.vision.inputs["position_ids"].meaning == "patch_positions" }},
		{"every block in windows", "torch.onnx, indexes as inputs", map[string]string{"v.onnx": strings.Replace(indexTower, "input %cu_seqlens: int64[m]", "", 1), "e.onnx": embeds, "d.onnx": decodes}, nil},
		{"no block in windows", "torch.onnx, indexes as inputs", map[string]string{"v.onnx": strings.Replace(indexTower, "input %cu_window_seqlens: int64[k]", "", 1), "e.onnx": embeds, "d.onnx": decodes}, nil},
		{"MNN", "MNN llmexport", map[string]string{"onnx/visual.onnx": mnnTower, "onnx/llm.onnx": mnnDecodes, "embeddings_bf16.bin": table},
			func(p *parts) bool {
				return p.decoder.rowsFirst && p.decoder.index == "logits_index" && p.embed.table.Type().String() == "bfloat16[5, 8]" &&
					p.vision.inputs["attention_mask"].meaning == "masks"
			}},
		{"MNN without a vision tower", "MNN llmexport", map[string]string{"llm.onnx": mnnDecodes, "embeddings_bf16.bin": table},
			func(p *parts) bool { return p.vision == nil && len(p.stages()) == 3 }},
		{"a decoder of embeddings", "decoder alone", map[string]string{"model.onnx": decodes},
			func(p *parts) bool { return p.vision == nil && p.embed == nil && !p.decoder.ids && len(p.notes) == 2 }},
		{"a decoder of token ids", "decoder alone", map[string]string{"model.onnx": strings.NewReplacer("%inputs_embeds: float32[b, s, 8]", "%input_ids: int64[b, s]", "Identity-17(%inputs_embeds)", "Cast-17(%input_ids) {to = 1}").Replace(decodes)},
			func(p *parts) bool { return p.vision == nil && p.embed == nil && p.decoder.ids && len(p.stages()) == 3 }},
		{"a vision tower", "vision tower alone", map[string]string{"v.onnx": gridTower},
			func(p *parts) bool { return p.decoder == nil && len(p.stages()) == 1 }},
		{"transformers 5", "transformers 5 OnnxExporter", map[string]string{"language_model.onnx": prefills, "lm_head.onnx": heads, "decode.onnx": decodesIDs, "image_encoder/model.onnx": hiddenTower},
			func(p *parts) bool {
				return p.vision != nil && p.vision.output == "pooler_output" && p.embed.within && p.decoder.head.path == "lm_head.onnx" && p.decoder.logits == "output"
			}},
		{"transformers 5 without decode and vision", "transformers 5 OnnxExporter", map[string]string{"language_model.onnx": prefills, "lm_head.onnx": heads},
			func(p *parts) bool { return p.vision == nil && p.embed == nil && len(p.notes) == 2 }},
	} {
		p, err := recognised(t, c.files)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.family != c.family || c.check != nil && !c.check(p) {
			t.Errorf("%s: taken for %s: %+v", c.name, p.family, p)
		}
		for _, s := range p.stages() {
			if s.File == "" {
				t.Errorf("%s: stage %s has no file", c.name, s.Name)
			}
		}
	}
}

// TestRecogniseRefuses has folders that are nearly those of a family.
func TestRecogniseRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		err   error
		want  []string
	}{
		{"two variants of the decoder", map[string]string{"v.onnx": gridTower, "e.onnx": embeds, "d_fp16.onnx": decodes, "d_q4.onnx": decodes},
			ErrFamily, []string{"decoder", "d_fp16.onnx", "d_q4.onnx", "leave one variant"}},
		{"two variants of the vision tower", map[string]string{"v_fp16.onnx": gridTower, "onnx/v_q4.onnx": gridTower, "e.onnx": embeds, "d.onnx": decodes},
			ErrFamily, []string{"vision tower", "v_fp16.onnx", filepath.Join("onnx", "v_q4.onnx")}},
		{"two variants of the embedding", map[string]string{"v.onnx": gridTower, "e.onnx": embeds, "e2.onnx": embeds, "d.onnx": decodes},
			ErrFamily, []string{"embedding", "e.onnx", "e2.onnx"}},
		{"two variants of MNN's decoder", map[string]string{"a.onnx": mnnDecodes, "b.onnx": mnnDecodes}, ErrFamily, []string{"decoder", "a.onnx", "b.onnx"}},
		{"no vision tower", map[string]string{"e.onnx": embeds, "d.onnx": decodes},
			ErrMissing, []string{"e.onnx(input_ids)", "d.onnx(inputs_embeds, attention_mask, position_ids)", "its vision tower is missing", "d.onnx is the decoder"}},
		{"no embedding", map[string]string{"v.onnx": gridTower, "d.onnx": decodes}, ErrMissing, []string{"v.onnx(pixel_values, image_grid_thw)", "its embedding is missing"}},
		{"no decoder", map[string]string{"v.onnx": gridTower, "e.onnx": embeds}, ErrMissing, []string{"its decoder is missing", "v.onnx is the vision tower", "e.onnx is the embedding"}},
		{"an embedding alone", map[string]string{"e.onnx": embeds}, ErrMissing, []string{"its decoder is missing", "its vision tower is missing"}},
		{"a vision tower that genai_config.json names", map[string]string{"d.onnx": decodes, "genai_config.json": `{"model": {"vision": {"filename": "vision.onnx"}}}`},
			ErrMissing, []string{"vision tower", `"vision.onnx"`, "genai_config.json"}},
		{"an embedding that genai_config.json names", map[string]string{"d.onnx": decodes, "genai_config.json": `{"model": {"embedding": {"filename": "embedding.onnx"}}}`},
			ErrMissing, []string{"embedding", `"embedding.onnx"`}},
		{"a language model without its head", map[string]string{"l.onnx": prefills}, ErrMissing, []string{"l.onnx", "lm_head.onnx"}},
		{"a graph of something else", map[string]string{"a.onnx": "input %x: float32[2] output %x"}, ErrFamily, []string{"a.onnx(x)", "known families", "transformers.js", "run FILE.onnx"}},
		{"a tower with one input more", map[string]string{"v.onnx": strings.Replace("input %extra: float32[1] "+gridTower, "(%pixel_values, %grid)", "(%extra, %grid)", 1), "e.onnx": embeds, "d.onnx": decodes}, ErrFamily, []string{"extra"}},
		{"a tower without a grid", map[string]string{"v.onnx": strings.NewReplacer("input %image_grid_thw: int64[pictures, 3]", "", "%image_grid_thw", "%pixel_values").Replace(gridTower), "e.onnx": embeds, "d.onnx": decodes},
			ErrFamily, []string{"v.onnx(pixel_values)"}},
		{"a tower of no output", map[string]string{"v.onnx": strings.Replace(gridTower, "output %image_features", "", 1), "e.onnx": embeds, "d.onnx": decodes}, ErrFamily, []string{"v.onnx"}},
		{"MNN's tower of no output", map[string]string{"v.onnx": strings.Replace(mnnTower, "output %image_embeds", "", 1)}, ErrFamily, []string{"v.onnx"}},
		{"boundaries short", map[string]string{"v.onnx": strings.NewReplacer("input %cu_window_seqlens: int64[k]", "", "input %cu_seqlens: int64[m]", "").Replace(indexTower), "e.onnx": embeds, "d.onnx": decodes},
			ErrFamily, []string{"window_index"}},
		{"a decoder without logits", map[string]string{"v.onnx": gridTower, "e.onnx": embeds, "d.onnx": strings.ReplaceAll(decodes, "%logits", "%hidden")}, ErrFamily, []string{"d.onnx"}},
		{"a decoder without a past", map[string]string{"v.onnx": gridTower, "e.onnx": embeds, "d.onnx": strings.ReplaceAll(decodes, "past_key_values.0.key", "k")}, ErrFamily, []string{"d.onnx"}},
		{"an embedding of another name", map[string]string{"v.onnx": gridTower, "e.onnx": strings.ReplaceAll(embeds, "%inputs_embeds", "%hidden"), "d.onnx": decodes}, ErrFamily, []string{"e.onnx"}},
		{"MNN's decoder of token ids", map[string]string{"llm.onnx": strings.Replace(mnnDecodes, "%input_ids: float32[s, 1, 8]", "%input_ids: int64[s, 1, 8]", 1)}, ErrFamily, []string{"logits_index"}},
		{"MNN without the table", map[string]string{"llm.onnx": mnnDecodes}, fs.ErrNotExist, []string{"embeddings_bf16.bin", "needed beside it"}},
		{"MNN with a part of a row", map[string]string{"llm.onnx": mnnDecodes, "embeddings_bf16.bin": "abc"}, ErrConfig, []string{"embeddings_bf16.bin", "3 bytes", "8 bfloat16"}},
		{"MNN with an empty table", map[string]string{"llm.onnx": mnnDecodes, "embeddings_bf16.bin": ""}, ErrConfig, []string{"embeddings_bf16.bin", "it is empty"}},
		{"MNN of undeclared width", map[string]string{"llm.onnx": strings.Replace(mnnDecodes, "[s, 1, 8]", "[s, 1, w]", 1), "embeddings_bf16.bin": "ab"}, ErrConfig, []string{"llm.onnx", "input_ids"}},
		{"MNN of no width", map[string]string{"llm.onnx": strings.Replace(mnnDecodes, "[s, 1, 8]", "[s, 1, 0]", 1), "embeddings_bf16.bin": "ab"}, ErrConfig, []string{"llm.onnx", "input_ids"}},
		{"MNN of a scalar", map[string]string{"llm.onnx": strings.Replace(mnnDecodes, "[s, 1, 8]", "[]", 1), "embeddings_bf16.bin": "ab"}, ErrConfig, []string{"llm.onnx", "input_ids"}},
		{"nothing at all", map[string]string{"readme.txt": "hello"}, fs.ErrNotExist, []string{"no .onnx file"}},
	} {
		_, err := recognised(t, c.files)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not said in %v", c.name, w, err)
			}
		}
	}
}

// TestOpenFolderRefuses names the file that is no ONNX.
func TestOpenFolderRefuses(t *testing.T) {
	dir := t.TempDir()
	save(t, filepath.Join(dir, "a.onnx"), embeds)
	if err := os.WriteFile(filepath.Join(dir, "b.onnx"), []byte("not a model"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir, onnx.Options{}); !errors.Is(err, onnx.ErrMalformed) || !strings.Contains(err.Error(), "b.onnx") {
		t.Errorf("got %v", err)
	}
	if _, err := openFolder(filepath.Join(dir, "elsewhere"), onnx.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestBindVision takes the extents that a tower declares, and refuses one that
// was traced for a single size by name.
func TestBindVision(t *testing.T) {
	for _, c := range []struct {
		name, text string
		err        error // nil: it is bound
		want       string
	}{
		{"symbols", gridTower, nil, ""},
		{"another width of patches", strings.Replace(gridTower, "1176", "588", 1), nil, ""},
		{"a rank that is not known", strings.Replace(gridTower, "float32[patches, 1176]", "float32[?]", 1), nil, ""},
		{"a fixed number of patches", strings.Replace(gridTower, "[patches, 1176]", "[256, 1176]", 1), ErrFixedGrid, `"pixel_values" is float32[256, 1176]`},
		{"a fixed number of patches, one", strings.Replace(gridTower, "[patches, 1176]", "[1, 1176]", 1), ErrFixedGrid, `"pixel_values"`},
		{"a grid of two numbers", strings.Replace(gridTower, "int64[pictures, 3]", "int64[pictures, 2]", 1), ErrFamily, `"image_grid_thw"`},
		{"a grid of two pictures", strings.Replace(gridTower, "int64[pictures, 3]", "int64[2, 3]", 1), ErrFamily, `"image_grid_thw"`},
		{"patches of three axes", strings.Replace(gridTower, "[patches, 1176]", "[1, patches, 1176]", 1), ErrFamily, "expected shape"},
		{"a fixed window index", strings.Replace(indexTower, "%window_index: int64[n]", "%window_index: int64[64]", 1), ErrFixedGrid, `"window_index"`},
		{"an index that is not read", strings.Replace(indexTower, "%cu_seqlens: int64[m]", "%cu_seqlens: int64[2]", 1), nil, ""},
		{"an input of no meaning", strings.Replace("input %temperature: float32[] "+indexTower, "(%pixel_values, %order)", "(%temperature, %order)", 1), ErrFamily, `"temperature"`},
	} {
		p, err := recognised(t, map[string]string{"v.onnx": c.text, "e.onnx": embeds, "d.onnx": decodes})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		err = bindVision(p.vision.file.model.Graph, p.vision, rows)
		if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v with %s", c.name, err, c.err, c.want)
		}
	}
}
