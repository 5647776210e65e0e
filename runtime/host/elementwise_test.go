package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
)

func TestElementwise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range [][2][]int64{
		{{7}, {7}},
		{{}, {}},
		{{3, 4}, {}},
		{{}, {5}},
		{{2, 3, 1025}, {1025}},
		{{1025}, {3, 1, 1025}},
		{{4, 1, 3}, {1, 5, 1}},
		{{2, 3, 4, 5}, {3, 1, 5}},
		{{1, 1}, {1}},
		{{0, 4}, {4}},
		{{3, 0}, {1, 1}},
		{{17, 4000}, {17, 4000}},
		{{2, 1, 2, 1, 2, 1, 2, 1}, {1, 3, 1, 3, 1, 3, 1, 3}},
	} {
		for _, d := range floatTypes {
			for _, name := range []string{"Add", "Sub", "Mul", "Div"} {
				t.Run(fmt.Sprint(name, d, k), func(t *testing.T) {
					in := []*graph.Tensor{random(r, d, k[0]...), random(r, d, k[1]...)}
					differ(t, nodeOf("", name, in, 1), in, 0)
				})
			}
		}
	}
	same := []*graph.Tensor{random(r, graph.Float32, 5, 3), nil}
	g := graph.New("square")
	x := g.NewInput("x", same[0].Type())
	addNode(g, "", "Mul", []*graph.Value{x, x}, 1)
	differ(t, g, same, 0)
}

func TestSwishMul(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, d := range floatTypes {
		for _, shape := range [][]int64{{5}, {2, 3420}, {0, 3}, {30, 1000}} {
			for _, alpha := range []float32{1, -0.3} {
				for _, swapped := range []bool{false, true} {
					in := []*graph.Tensor{random(r, d, shape...), random(r, d, shape[len(shape)-1])}
					g := graph.New("gate")
					x, y := g.NewInput("x", in[0].Type()), g.NewInput("y", in[1].Type())
					gate := addNode(g, "", "Swish", []*graph.Value{x}, 1, graph.Attr{Name: "alpha", Value: alpha}).Outputs[0]
					ins := []*graph.Value{gate, y}
					if swapped {
						ins = []*graph.Value{y, gate}
					}
					addNode(g, "", "Mul", ins, 1)
					differ(t, g, in, tolerance[d])
				}
			}
		}
	}
}

// A gate that someone else reads, too, keeps its own kernel.
func TestSwishMulLeavesSharedGates(t *testing.T) {
	g := graph.New("gate")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, graph.Const(4)))
	gate := addNode(g, "", "Swish", []*graph.Value{x}, 1).Outputs[0]
	product := addNode(g, "", "Mul", []*graph.Value{gate, x}, 1).Outputs[0]
	for _, outputs := range [][]*graph.Value{{product, gate}, {addNode(g, "", "Mul", []*graph.Value{gate, product}, 1).Outputs[0]}} {
		g.Outputs = outputs
		if groups := Lower(g, Math{}); len(groups) != len(g.Nodes) {
			t.Errorf("%d kernels for %d nodes", len(groups), len(g.Nodes))
		}
	}
}

func TestUnary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	inf := float32(math.Inf(1))
	special := []float32{0, 1, -1, inf, -inf, float32(math.NaN()), 1e-7, -1e-7, 5, -5, 30, -30, 88, -88, 200, -200, 1e-30, 65504}
	for _, d := range floatTypes {
		for _, k := range []struct {
			name  string
			attrs []graph.Attr
		}{
			{"Swish", nil}, {"Swish", []graph.Attr{{Name: "alpha", Value: float32(1.702)}}}, {"Sigmoid", nil}, {"Gelu", nil},
			{"Gelu", []graph.Attr{{Name: "approximate", Value: "tanh"}}}, {"Relu", nil}, {"Neg", nil}, {"Abs", nil}, {"Sqrt", nil},
			{"Reciprocal", nil}, {"Exp", nil}, {"Log", nil}, {"Sin", nil}, {"Cos", nil}, {"Tanh", nil}, {"Erf", nil},
		} {
			for _, x := range []*graph.Tensor{random(r, d, 3, 1371), random(r, d, 0, 2), random(r, d), random(r, d, 40_000)} {
				differ(t, nodeOf("", k.name, []*graph.Tensor{x}, 1, k.attrs...), []*graph.Tensor{x}, tolerance[d])
			}
			for _, v := range special { // one by one, as the tolerance is relative to the largest
				x := graph.Floats([]float32{v})
				if k.name == "Gelu" { // whose tail is exact to 1e-7 of 1 only
					x = graph.Floats([]float32{v, 1})
				}
				y, _ := graph.NewTensor(d, x.Shape...)
				_ = y.SetFloat32s(graph.View[float32](x))
				t.Run(fmt.Sprint(k.name, d, v), func(t *testing.T) {
					differ(t, nodeOf("", k.name, []*graph.Tensor{y}, 1, k.attrs...), []*graph.Tensor{y}, tolerance[d])
				})
			}
		}
	}
}

func TestCast(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, shape := range [][]int64{{}, {0}, {3, 4099}, {50_000}} {
		for _, to := range floatTypes {
			for _, from := range floatTypes {
				x := []*graph.Tensor{random(r, from, shape...)}
				differ(t, nodeOf("", "Cast", x, 1, flag("to", int64(to))), x, 0)
			}
		}
		for _, from := range []graph.DType{graph.Int32, graph.Int64} {
			x := []*graph.Tensor{filled(r, from, shape...)}
			differ(t, nodeOf("", "Cast", x, 1, flag("to", int64(graph.Float32))), x, 0)
			if from == graph.Int32 { // as many as fit a float16 as do not
				for i, v := range graph.View[int32](x[0]) {
					graph.View[int32](x[0])[i] = v >> 15
				}
			}
			differ(t, nodeOf("", "Cast", x, 1, flag("to", int64(graph.Float16))), x, 0)
		}
	}
}

func TestSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, d := range floatTypes {
		for _, shape := range [][]int64{{1}, {5, 1}, {3, 77}, {2, 3, 1000}, {0, 4}, {4, 0}} {
			x := []*graph.Tensor{random(r, d, shape...)}
			differ(t, nodeOf("", "Softmax", x, 1), x, tolerance[d])
		}
	}
	inf := float32(math.Inf(1))
	for _, row := range [][]float32{{-inf, 0, 1}, {-inf, -inf}, {inf, 0}, {float32(math.NaN()), 1}, {300, -300}} {
		x := []*graph.Tensor{graph.Floats(row)}
		differ(t, nodeOf("", "Softmax", x, 1), x, tolerance[graph.Float32])
	}
}

func BenchmarkElementwise(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range floatTypes {
		for _, other := range [][]int64{{256, 2048}, {2048}, {}} {
			b.Run(fmt.Sprint(d, other), func(b *testing.B) {
				in := []*graph.Tensor{random(r, d, 256, 2048), random(r, d, other...)}
				b.ReportMetric(bench(b, nodeOf("", "Add", in, 1), in)/(256*2048), "ns/element")
			})
		}
	}
}

func BenchmarkUnary(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"Swish", "Gelu", "Exp", "Neg", "Cos"} {
		b.Run(name, func(b *testing.B) {
			in := []*graph.Tensor{random(r, graph.Float32, 256, 2048)}
			b.ReportMetric(bench(b, nodeOf("", name, in, 1), in)/(256*2048), "ns/element")
		})
	}
}

func BenchmarkSwishMul(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range floatTypes {
		b.Run(d.String(), func(b *testing.B) {
			in := []*graph.Tensor{random(r, d, 256, 2048), random(r, d, 256, 2048)}
			g := graph.New("gate")
			x, y := g.NewInput("x", in[0].Type()), g.NewInput("y", in[1].Type())
			gate := addNode(g, "", "Swish", []*graph.Value{x}, 1).Outputs[0]
			addNode(g, "", "Mul", []*graph.Value{gate, y}, 1)
			b.ReportMetric(bench(b, g, in)/(256*2048), "ns/element")
		})
	}
}

func BenchmarkCast(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range [][2]graph.DType{{graph.Float16, graph.Float32}, {graph.Float32, graph.Float16}} {
		b.Run(fmt.Sprint(d[0], " to ", d[1]), func(b *testing.B) {
			in := []*graph.Tensor{random(r, d[0], 256, 2048)}
			b.ReportMetric(bench(b, nodeOf("", "Cast", in, 1, flag("to", int64(d[1]))), in)/(256*2048), "ns/element")
		})
	}
}
