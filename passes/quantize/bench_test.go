package quantize

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime/host"
)

// BenchmarkCodes makes the codes of one projection of a model of 3 billion
// parameters, as exporters store it: float16, inputs before outputs.
func BenchmarkCodes(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]uint16, 2048*11008)
	for i := range data {
		data[i] = graph.F32ToF16(float32(r.NormFloat64() * 0.02))
	}
	t := graph.FromSlice(graph.Float16, data, 2048, 11008)
	for _, spec := range []string{"int4:32:round", "int4:32:asym:round", "int8:32:round", "int4:32:refine"} {
		for _, transposed := range []bool{true, false} {
			f, err := parseFormat(spec)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s,transposed=%v", spec, transposed), func(b *testing.B) {
				b.SetBytes(int64(len(t.Data)))
				j := &job{layer: &Layer{}, m: newMatrix(t, transposed), coding: newCoding(f), method: f.Method, block: f.Block, padded: true, loops: host.NewCoding(), workers: 1}
				for b.Loop() {
					if err := j.run(io.Discard); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(data)), "ns/weight")
			})
		}
	}
}
