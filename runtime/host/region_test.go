package host

import (
	"context"
	"fmt"
	"math"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Products of one value are one kernel, and agree with the operators' references.
func TestRegions(t *testing.T) {
	for _, gated := range []bool{false, true} {
		for _, bits := range []int64{0, 4, 8} {
			for _, rows := range []int64{1, 3, 16, 17, 40} {
				t.Run(fmt.Sprintf("gated=%v/%d bits/%d rows", gated, bits, rows), func(t *testing.T) {
					m := newMultiply(t, uint64(rows))
					x := m.input(m.numbers(graph.Float32, 1, rows, 96))
					weigh := func(n int64) *graph.Value {
						if bits == 0 {
							return m.node("", "MatMul", nil, x, m.constant(m.numbers(graph.Float32, 96, n))).out
						}
						return m.node(op.Microsoft, "MatMulNBits", []graph.Attr{{Name: "K", Value: int64(96)}, {Name: "N", Value: n}, {Name: "bits", Value: bits}, {Name: "block_size", Value: int64(32)}},
							x, m.constant(m.bytes(n, 3, 4*bits)), m.constant(m.numbers(graph.Float32, 3*n))).out
					}
					want := 1
					if gated {
						g, u := weigh(70), weigh(70)
						m.node("", "Mul", nil, m.node("", "Swish", nil, g).out, u)
					} else {
						a := m.node("", "Add", nil, weigh(70), m.constant(m.numbers(graph.Float32, 70))).out
						b, c := weigh(33), weigh(8)
						m.g.Outputs = []*graph.Value{a, b, c}
					}
					reference, err := m.table.Run(context.Background(), m.g, m.in, nil)
					if err != nil {
						t.Fatal(err)
					}
					groups := Lower(m.g, Math{})
					if len(groups) != want {
						t.Fatalf("%d kernels, want %d", len(groups), want)
					}
					c := &Call{Ctx: context.Background()}
					for _, v := range groups[0].In {
						switch {
						case v == nil:
							c.In = append(c.In, nil)
						case v.Const != nil:
							c.In = append(c.In, v.Const)
						default:
							c.In = append(c.In, m.in[0])
						}
					}
					place := map[*graph.Value]int{}
					for i, v := range m.g.Outputs {
						place[v] = i
					}
					for _, v := range groups[0].Out {
						y := reference[place[v]]
						c.Out = append(c.Out, &graph.Tensor{DType: y.DType, Shape: y.Shape, Data: make([]byte, len(y.Data))})
					}
					pool := NewPool(2)
					defer pool.Close()
					for _, c.Pool = range []*Pool{nil, pool} {
						if err := groups[0].Kernel(c); err != nil {
							t.Fatal(err)
						}
						for i, v := range groups[0].Out {
							got, _ := c.Out[i].Float32s()
							y, _ := reference[place[v]].Float32s()
							top := 1.0
							for _, s := range y {
								top = max(top, math.Abs(float64(s)))
							}
							for j := range y {
								if !(math.Abs(float64(got[j]-y[j])) <= 1e-5*top) {
									t.Fatalf("output %d, element %d is %v, want %v", i, j, got[j], y[j])
								}
							}
						}
					}
				})
			}
		}
	}
}
