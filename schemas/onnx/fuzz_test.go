package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
)

// FuzzDecode: any bytes are refused, or are a model that keeps the rules and
// loads as the same again after it was written.
func FuzzDecode(f *testing.F) {
	f.Add(sample(f))
	f.Add(encode(f, newModel(node("Clip", "x - x", "- y"))))
	for _, name := range []string{"embedding.onnx", "embed_tokens_q4f16.onnx"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 3000)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode("m.onnx", b, Options{})
		if err != nil {
			return
		}
		for _, n := range m.Graph.Nodes {
			if n.Version < 1 || n.Op == "" {
				t.Errorf("node %+v", n)
			}
		}
		out, err := marshal(m)
		if errors.Is(err, ErrUnsupported) {
			return // functions of another opset than the model's
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode("m.onnx", out, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s := differ(m.Graph, again.Graph); s != "" {
			t.Error(s)
		}
	})
}

// FuzzExternal: whatever a model says of its data, only the file in its folder
// is read, and only within its size.
func FuzzExternal(f *testing.F) {
	dir := f.TempDir()
	write(f, filepath.Join(dir, "model", "w.bin"), []byte(strings.Repeat("g", 32)))
	write(f, filepath.Join(dir, "secret"), []byte(strings.Repeat("b", 32)))
	for _, s := range [][3]string{{"w.bin", "8", "8"}, {"../secret", "0", "8"}, {"./w.bin", "", ""}, {"/etc/passwd", "-1", "9e9"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, location, offset, length string) {
		m, err := Decode("m.onnx", externalModel(t, []string{"location", location, "offset", offset, "length", length}), Options{ExternalDir: filepath.Join(dir, "model")})
		if err != nil {
			return
		}
		defer m.Close()
		if got := string(m.Graph.Nodes[0].Inputs[1].Const.Data); got != "gggggggg" {
			t.Errorf("%q at %q of %q reads %q", length, offset, location, got)
		}
	})
}

// FuzzTensor: any bytes are refused, or are a tensor of the size of its type.
func FuzzTensor(f *testing.F) {
	for _, k := range families {
		f.Add(tensorProto("w", int64(k.dtype), []int64{elementsOf(k.dtype)}, data(k.field, k.typed...)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := UnmarshalTensor(b)
		if err != nil {
			return
		}
		n, err := graph.Elements(got.Shape)
		if err != nil {
			t.Fatal(err)
		}
		if size, ok := got.DType.Bytes(n); !ok || size != int64(len(got.Data)) {
			t.Errorf("%s%v has %d bytes", got.DType, got.Shape, len(got.Data))
		}
	})
}
