// Package tests holds what reaches over the whole module: the import rules, the
// README's commands and the reference data that tests of any package share.
//
// The functions here are for tests. They hand out copies in temporary folders, so
// that a test may change what it gets, and end the test when something is wrong.
package tests

import (
	"archive/zip"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/picture"
	"mnnconv/models/tinyvl"
	"mnnconv/schemas/npy"
)

//go:embed testdata/tinyvl
var embedded embed.FS

// data holds the small model's reference data; testdata/tinyvl/README.md says
// what is in it.
var data = sub(embedded, "testdata/tinyvl")

func sub(f fs.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		panic("tests: invariant: " + err.Error())
	}
	return s
}

// Export returns the model folder of an exporter: "tjs-fp16" (the bundled
// model), "tjs-q4f16" or "olive-cpu-int4".
func Export(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	var err error
	if name == "tjs-fp16" {
		err = tinyvl.Extract(nil, dir)
	} else {
		err = os.CopyFS(dir, archive(t, name+".zip"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Conversation is a question to the small model with what PyTorch answers in
// float32.
type Conversation struct {
	Name, Question string
	Text           string   // the answer
	Files          []string // paths of the pictures, or of the frames of one video, two a second
	Video          bool
	// Arrays holds input_ids [1, tokens], position_ids [3, 1, tokens], tokens
	// (of the answer, with the one that ends it) and logits_first [vocabulary];
	// with pictures also image_grid_thw [pictures, 3] and image_embeds
	// [rows, width].
	Arrays map[string]*graph.Tensor
}

// Media reads the pictures of a conversation, or its video.
func (c Conversation) Media(t testing.TB) []models.Media {
	t.Helper()
	var out []models.Media
	for _, f := range c.Files {
		img, err := picture.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		if c.Video && len(out) == 1 {
			out[0].Frames = append(out[0].Frames, img)
			continue
		}
		out = append(out, models.Media{Frames: []*picture.RGB{img}, Video: c.Video, FPS: 2})
	}
	return out
}

// Asking is the conversation's question with its pictures.
func (c Conversation) Asking(t testing.TB) models.Question {
	t.Helper()
	return models.Asking(c.Question, c.Media(t)...)
}

// Conversations returns the seven reference conversations.
func Conversations(t testing.TB) []Conversation {
	t.Helper()
	golden := sub(data, "golden")
	dir := t.TempDir()
	if err := os.CopyFS(dir, golden); err != nil {
		t.Fatal(err)
	}
	manifest, err := fs.ReadFile(golden, "manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []Conversation
	if err := json.Unmarshal(manifest, &list); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		c := &list[i]
		for k, name := range c.Files {
			c.Files[k] = filepath.Join(dir, c.Name, name)
		}
		c.Arrays = arrays(t, sub(golden, c.Name))
	}
	return list
}

// Questions returns twenty more questions with what PyTorch answers, without arrays.
func Questions(t testing.TB) []Conversation {
	t.Helper()
	files := sub(data, "vqa")
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	lines, err := fs.ReadFile(files, "questions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var list []Conversation
	for line := range bytes.Lines(lines) {
		var q struct {
			ID                  int
			Images, Video       []string
			Question, Reference string
		}
		if err := json.Unmarshal(line, &q); err != nil {
			t.Fatal(err)
		}
		c := Conversation{Name: fmt.Sprintf("question %d", q.ID), Question: q.Question, Text: q.Reference, Video: len(q.Video) > 0}
		for _, f := range append(q.Images, q.Video...) {
			c.Files = append(c.Files, filepath.Join(dir, f))
		}
		list = append(list, c)
	}
	return list
}

// Case is one set of inputs with what onnxruntime computes from them.
type Case struct {
	Name string
	// Inputs holds input_ids, attention_mask [1, tokens], position_ids
	// [3, 1, tokens] and rope_delta; with pictures also pixel_values
	// [patches, 1176], grid_thw [pictures, 3], window_index and
	// cu_window_seqlens.
	Inputs map[string]*graph.Tensor
	// Want holds tokens (16 greedy ones, whatever stops a conversation),
	// logits_last [1, vocabulary] and logits_last_dequantised, which a runtime that
	// rounds no activation is to be compared with.
	Want map[string]*graph.Tensor
}

// Cases returns the cases that an export ("tjs-q4f16" or "olive-cpu-int4") has
// results for.
func Cases(t testing.TB, export string) []Case {
	t.Helper()
	files := archive(t, export+".zip")
	results, err := fs.ReadDir(files, "golden")
	if err != nil {
		t.Fatal(err)
	}
	cases := make([]Case, len(results))
	for i, e := range results {
		cases[i] = Case{
			Name:   e.Name(),
			Inputs: arrays(t, archive(t, path.Join("cases", e.Name()+".npz"))),
			Want:   arrays(t, sub(files, "golden/"+e.Name())),
		}
	}
	return cases
}

// archive opens a zip file of the reference data.
func archive(t testing.TB, name string) fs.FS {
	t.Helper()
	b, err := fs.ReadFile(data, name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return z
}

// arrays reads the .npy files of a folder, by their names without the ending.
func arrays(t testing.TB, files fs.FS) map[string]*graph.Tensor {
	t.Helper()
	names, err := fs.Glob(files, "*.npy")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*graph.Tensor{}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		x, err := npy.Decode(name, b)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(name, ".npy")] = x
	}
	return out
}
