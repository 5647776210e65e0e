package host

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

func TestNorms(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][]int64{{1, 1}, {3, 5}, {2, 1, 128}, {7, 80}, {1, 16, 3420}, {0, 8}, {2, 3, 0}, {300, 64}} {
		width := shape[len(shape)-1]
		for _, d := range floatTypes {
			for _, name := range []string{"RMSNormalization", "LayerNormalization"} {
				t.Run(fmt.Sprint(name, d, shape), func(t *testing.T) {
					in := []*graph.Tensor{random(r, d, shape...), random(r, d, width)}
					differ(t, nodeOf("", name, in, 1), in, tolerance[d])
					epsilon := graph.Attr{Name: "epsilon", Value: float32(0.5)}
					if name == "LayerNormalization" {
						in = append(in, random(r, d, width))
					}
					differ(t, nodeOf("", name, in, 1, epsilon), in, tolerance[d])
				})
			}
		}
	}
	in := []*graph.Tensor{random(r, graph.Float16, 3, 64), random(r, graph.Float32, 64)}
	differ(t, nodeOf("", "RMSNormalization", in, 1), in, tolerance[graph.Float16])
}

// Narrow types are rounded where the operators' function bodies round them: but
// for ties, numbers are those of the reference bit for bit.
func TestNormsRoundInBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, d := range floatTypes[1:] {
		for _, name := range []string{"RMSNormalization", "LayerNormalization"} {
			in := []*graph.Tensor{random(r, d, 50, 128), random(r, d, 128)}
			if name == "LayerNormalization" {
				in = append(in, random(r, d, 128))
			}
			g := nodeOf("", name, in, 1)
			got := graph.View[uint16](differ(t, g, in, tolerance[d])[0])
			want, err := op.All().Run(context.Background(), g, in, nil)
			if err != nil {
				t.Fatal(err)
			}
			others := 0
			for i, w := range graph.View[uint16](want[0]) {
				if got[i] != w {
					others++
				}
			}
			if others > len(got)/100 {
				t.Errorf("%s of %s: %d of %d numbers are not the reference's", name, d, others, len(got))
			}
		}
	}
}

// A row's bits do not depend on how many rows travel with it.
func TestNormRowsStandAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range []string{"RMSNormalization", "LayerNormalization"} {
		in := []*graph.Tensor{random(r, graph.Float32, 16, 2048), random(r, graph.Float32, 2048)}
		all := differ(t, nodeOf("", name, in, 1), in, tolerance[graph.Float32])[0]
		for i := range 16 {
			size := 2048 * 4
			one := []*graph.Tensor{{DType: graph.Float32, Shape: []int64{1, 2048}, Data: in[0].Data[i*size:][:size]}, in[1]}
			got := differ(t, nodeOf("", name, one, 1), one, tolerance[graph.Float32])[0]
			if string(got.Data) != string(all.Data[i*size:][:size]) {
				t.Errorf("%s: row %d alone has other bits than among 16", name, i)
			}
		}
	}
}

func BenchmarkRMSNorm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range floatTypes {
		b.Run(d.String(), func(b *testing.B) {
			in := []*graph.Tensor{random(r, d, 256, 2048), random(r, d, 2048)}
			ns := bench(b, nodeOf("", "RMSNormalization", in, 1), in)
			b.ReportMetric(ns/(256*2048), "ns/element")
		})
	}
}
