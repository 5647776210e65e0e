// Bigmodel writes a model folder of Qwen2.5-VL's shape at a size of choice, with
// weights made of noise: it answers nonsense, but loads, cuts and runs as a real
// one of that size does.
//
//	go run ./tests/bigmodel -shape 3b -o DIR
//
// The graphs are those of the bundled model, as torch.onnx exported them for
// transformers.js, with layers repeated and extents changed; weights are of the type
// that is computed in, in external data. Nothing of the published weights is in them. It is run from
// the module's root, where it finds the tokenizer.
package main

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"mnnconv/graph"
	"mnnconv/models/tinyvl"
	"mnnconv/schemas/onnx"
)

func main() {
	out := flag.String("o", "", "the `folder` to write; it must not be there")
	name := flag.String("shape", "3b", "`3b`, 7b, 0.5b or tiny")
	layers := flag.Int("layers", 0, "layers of the language model; 0: as the shape says")
	sparse := flag.Bool("sparse", false, "weights are zeros that take no room on disk: to read, not to run")
	tied := flag.Bool("tied", false, "the projection to logits has the numbers of the table of embeddings")
	blocks := flag.Int("blocks", 0, "blocks of the vision tower; 0: as the shape says")
	language := flag.String("type", "float16", "the `type` that the language model computes in: float16, bfloat16 or float32")
	vision := flag.String("vision-type", "", "the `type` that the vision tower computes in; empty: the language model's")
	flag.Parse()
	s, ok := shapes[*name]
	types, known := floats(*language, cmp.Or(*vision, *language))
	if !ok || !known || *out == "" || flag.NArg() > 0 || *layers < 0 || *blocks < 0 {
		flag.Usage()
		os.Exit(2)
	}
	s = s.cut(*layers, *blocks)
	s.Tied, s.Type, s.Vision.Type = *tied, types[0], types[1]
	if err := write(*out, s, *sparse); err != nil {
		fmt.Fprintln(os.Stderr, "bigmodel:", err)
		os.Exit(1)
	}
}

// floats reads types of float; ok is false if one is none.
func floats(names ...string) (types []graph.DType, ok bool) {
	for _, name := range names {
		t, _ := graph.ParseDType(name)
		if !slices.Contains([]graph.DType{graph.Float16, graph.BFloat16, graph.Float32}, t) {
			return nil, false
		}
		types = append(types, t)
	}
	return types, true
}

// write makes the folder.
func write(dir string, s shape, sparse bool) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "onnx"), 0o755); err != nil {
		return err
	}
	if err := writeSideFiles(dir, s); err != nil {
		return err
	}
	noise := newNoise(s.Tied)
	for _, part := range []struct {
		file  string
		scale func(*onnx.Model, shape) error
	}{
		{"onnx/vision_encoder_fp16.onnx", scaleVision},
		{"onnx/embed_tokens_fp16.onnx", scaleEmbedding},
		{"onnx/decoder_model_merged_fp16.onnx", scaleDecoder},
	} {
		m, err := template(part.file)
		if err != nil {
			return err
		}
		if err := part.scale(m, s); err != nil {
			return fmt.Errorf("%s: %w", part.file, err)
		}
		if sparse {
			noise = nil
		}
		if err := save(filepath.Join(dir, part.file), m, noise); err != nil {
			return err
		}
	}
	return nil
}

// template reads a graph of the bundled model.
func template(file string) (*onnx.Model, error) {
	b, err := fs.ReadFile(tinyvl.Model(), file)
	if err != nil {
		return nil, err
	}
	return onnx.Decode(file, b, onnx.Options{})
}

// writeSideFiles writes what stands beside the graphs. Its tokenizer, if the
// vocabulary is the bundled model's, is that one's; else Qwen2.5's.
func writeSideFiles(dir string, s shape) error {
	for name, v := range map[string]any{
		"config.json": s.config(), "generation_config.json": s.generation(), "preprocessor_config.json": s.preprocessor(),
	} {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"chat_template.json", "tokenizer.json"} {
		b, err := fs.ReadFile(tinyvl.Model(), name)
		if err == nil && name == "tokenizer.json" && s.Vocabulary != shapes["tiny"].Vocabulary {
			b, err = unzip("models/tokenizer/testdata/qwen2.5.json.gz")
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func unzip(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (run this from the module's root)", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(z)
}
