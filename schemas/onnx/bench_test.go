package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// BenchmarkLoad loads a small model, one with 5 MB of weights inside and a few
// thousand nodes, and one of a 3B model's shape with its weights in a data file.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	inline := layers(b, 36, func(i int, name string) []byte {
		return tensorProto(name, 1, []int64{64, 64}, data(tensorRawData, make([]byte, 64*64*4)...))
	})
	const size = 2 * 2048 * 2048 * 4 // bytes of a weight in bfloat16
	var total int64
	large := layers(b, 200, func(i int, name string) []byte {
		total = int64(i+1) * size
		return tensorProto(name, 16, []int64{2048, 8192}, external("location", "w.bin", "offset", strconv.Itoa(i*size), "length", strconv.Itoa(size)))
	})
	f, err := os.Create(filepath.Join(dir, "w.bin"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(total); err != nil {
		b.Fatal(err)
	}
	b.Logf("inline %d bytes, external %d and %d bytes", len(inline), len(large), total)
	for _, c := range []struct{ name, path string }{
		{"small", filepath.Join("testdata", "embedding.onnx")},
		{"inline", write(b, filepath.Join(dir, "inline.onnx"), inline)},
		{"external", write(b, filepath.Join(dir, "external.onnx"), large)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := Load(c.path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				m.Close()
			}
		})
	}
}

// layers returns a model of n layers of 50 nodes, two of which have a weight.
func layers(b *testing.B, n int, weight func(i int, name string) []byte) []byte {
	m := newModel()
	in := "x"
	for i := range n {
		for j := range 50 {
			name := fmt.Sprintf("/model/layers.%d/self_attn/part.%d", i, j)
			ins := in
			if j%25 == 0 {
				w := name + ".weight"
				m.Graph.Initializer = append(m.Graph.Initializer, weight(2*i+j/25, w))
				ins += " " + w
			}
			in = name + "_output_0"
			p := node("MatMul", ins, in, intAttr("axis", 1))
			p.Name = name
			m.Graph.Node = append(m.Graph.Node, p)
			m.Graph.ValueInfo = append(m.Graph.ValueInfo, info(in, graph.Float32, "batch", "sequence", 2048))
		}
	}
	m.Graph.Output = []*pb.ValueInfoProto{{Name: in}}
	return encode(b, m)
}

// BenchmarkSave writes 5 MB of weights into a data file.
func BenchmarkSave(b *testing.B) {
	dir := b.TempDir()
	m := build(1 << 20)
	b.SetBytes(4 << 20)
	for b.Loop() {
		if err := Save(filepath.Join(dir, "m.onnx"), m, SaveOptions{External: "w.bin"}); err != nil {
			b.Fatal(err)
		}
	}
}
