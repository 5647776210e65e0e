package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
)

// topKOf returns a graph that ranks the rows of x.
func topKOf(x *graph.Tensor, k int64) *graph.Graph {
	g := graph.New("trial")
	addNode(g, "", "TopK", []*graph.Value{g.NewInput("x", x.Type()), g.NewConst("k", ints(k))}, 2)
	return g
}

// TestTopK compares values and indexes with the operator's, over ties, NaN, infinities
// and zeros of both signs.
func TestTopK(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1))}
	for _, d := range floatTypes {
		for _, width := range []int64{1, 2, 63, 64, 65, 400, 3420, 17001} {
			for _, k := range []int64{1, 2, 7, 64, 256} {
				for kind := range 5 {
					if k > width {
						continue
					}
					rows := int64(r.IntN(3) + 1)
					x := random(r, d, rows, width)
					f, err := x.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					for i := range f {
						switch {
						case kind == 1:
							f[i] = float32(math.Round(float64(f[i])))
						case kind == 2 && r.IntN(40) == 0, kind == 3:
							f[i] = odd[r.IntN(len(odd))]
						case kind == 4:
							f[i] = 1
						}
					}
					if err := x.SetFloat32s(f); err != nil {
						t.Fatal(err)
					}
					differ(t, topKOf(x, k), []*graph.Tensor{x}, 0)
				}
			}
		}
	}
}

// TestTopKOfNothing ranks no rows.
func TestTopKOfNothing(t *testing.T) {
	x := graph.Floats(nil, 0, 9)
	differ(t, topKOf(x, 3), []*graph.Tensor{x}, 0)
}

// BenchmarkTopK ranks logits of Qwen2.5's vocabulary, and rows of a small one's.
func BenchmarkTopK(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, shape := range [][]int64{{1, 151936}, {8, 544}} {
		for _, d := range floatTypes {
			b.Run(fmt.Sprint(shape, " ", d), func(b *testing.B) {
				x := random(r, d, shape...)
				bench(b, topKOf(x, 64), []*graph.Tensor{x})
			})
		}
	}
}
