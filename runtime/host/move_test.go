package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

var movedTypes = []graph.DType{graph.Float32, graph.Float16, graph.Bool, graph.Int64, graph.Complex128}

// filled returns a tensor of random bytes.
func filled(r *rand.Rand, d graph.DType, shape ...int64) *graph.Tensor {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		panic(err)
	}
	for i := range t.Data {
		t.Data[i] = byte(r.Uint32())
	}
	return t
}

// constants makes the inputs from the given one on constants.
func constants(g *graph.Graph, from int, in []*graph.Tensor) {
	for i, v := range g.Inputs {
		if i >= from {
			v.Const = in[i]
		}
	}
	g.Inputs = g.Inputs[:min(from, len(g.Inputs))]
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		panic(err)
	}
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []struct{ shape, perm []int64 }{
		{[]int64{2, 3, 4, 5}, []int64{0, 2, 1, 3}},
		{[]int64{1, 300, 4, 32}, []int64{0, 2, 1, 3}},
		{[]int64{37, 91}, []int64{1, 0}},
		{[]int64{2, 3, 4}, []int64{2, 0, 1}},
		{[]int64{2, 3, 4}, []int64{0, 1, 2}},
		{[]int64{2, 3, 4}, nil},
		{[]int64{3, 0, 4}, []int64{1, 2, 0}},
		{[]int64{}, nil},
		{[]int64{2, 1, 3, 1, 2, 2, 1, 3}, []int64{7, 5, 3, 1, 0, 2, 4, 6}},
	} {
		for _, d := range movedTypes {
			in := []*graph.Tensor{filled(r, d, k.shape...)}
			var attrs []graph.Attr
			if k.perm != nil {
				attrs = append(attrs, graph.Attr{Name: "perm", Value: k.perm})
			}
			differ(t, nodeOf("", "Transpose", in, 1, attrs...), in, 0)
		}
	}
}

func TestExpand(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range [][2][]int64{
		{{3, 1}, {3, 4}}, {{1}, {2, 3}}, {{}, {5}}, {{2, 1, 3}, {4, 2, 5, 3}}, {{2, 3}, {1, 1}}, {{1, 3}, {0, 3}}, {{70, 1, 8}, {70, 90, 8}},
	} {
		for _, d := range movedTypes {
			in := []*graph.Tensor{filled(r, d, k[0]...), ints(k[1]...)}
			g := nodeOf("", "Expand", in, 1)
			constants(g, 1, in)
			differ(t, g, in[:1], 0)
		}
	}
}

func TestSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const end = math.MaxInt64
	for _, k := range []struct{ shape, starts, ends, axes, steps []int64 }{
		{[]int64{5, 6}, []int64{1, 2}, []int64{4, end}, nil, nil},
		{[]int64{5, 6}, []int64{-3}, []int64{-1}, []int64{-1}, nil},
		{[]int64{5, 6}, []int64{0, 1}, []int64{end, 6}, []int64{1, 0}, []int64{2, 3}},
		{[]int64{5, 6, 7}, []int64{9}, []int64{end}, []int64{1}, nil},
		{[]int64{5, 6, 7}, []int64{math.MinInt64}, []int64{3}, []int64{2}, []int64{1}},
		{[]int64{5, 6, 7}, []int64{4}, []int64{2}, []int64{0}, nil},
		{[]int64{5, 6, 7}, []int64{1}, []int64{5}, []int64{0}, []int64{end}},
		{[]int64{1, 300, 260}, []int64{3, 128}, []int64{299, 256}, []int64{1, 2}, nil},
		{[]int64{0, 3}, []int64{0}, []int64{2}, []int64{1}, nil},
	} {
		for _, d := range movedTypes {
			in := []*graph.Tensor{filled(r, d, k.shape...), ints(k.starts...), ints(k.ends...), nil, nil}
			if k.axes != nil {
				in[3] = ints(k.axes...)
			}
			if k.steps != nil {
				in[4] = ints(k.steps...)
			}
			present := in[:3]
			for _, x := range in[3:] {
				if x != nil {
					present = append(present[:len(present):len(present)], x)
				}
			}
			g := nodeOf("", "Slice", in, 1)
			constants(g, 1, present)
			differ(t, g, in[:1], 0)
		}
	}
}

func TestConcatAndSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, k := range []struct {
		shape []int64
		axis  int64
		sizes []int64
	}{
		{[]int64{2, 0, 3}, 1, []int64{1, 4, 2}},
		{[]int64{0, 5}, 0, []int64{3}},
		{[]int64{0, 5}, -2, []int64{0, 2, 0}},
		{[]int64{2, 3, 0}, -1, []int64{64, 64}},
		{[]int64{200, 0, 70}, 1, []int64{1, 1, 1}},
		{[]int64{0, 0}, 1, []int64{3, 4}},
	} {
		for _, d := range movedTypes {
			axis := graph.Attr{Name: "axis", Value: k.axis}
			at := (k.axis + int64(len(k.shape))) % int64(len(k.shape))
			var parts []*graph.Tensor
			total := int64(0)
			for _, n := range k.sizes {
				shape := append([]int64{}, k.shape...)
				shape[at] = n
				total += n
				parts = append(parts, filled(r, d, shape...))
			}
			differ(t, nodeOf("", "Concat", parts, 1, axis), parts, 0)
			shape := append([]int64{}, k.shape...)
			shape[at] = total
			in := []*graph.Tensor{filled(r, d, shape...), ints(k.sizes...)}
			g := nodeOf("", "Split", in, len(k.sizes), axis)
			constants(g, 1, in)
			differ(t, g, in[:1], 0)
		}
	}
}

func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, k := range []struct {
		shape   []int64
		axis    int64
		indices *graph.Tensor
	}{
		{[]int64{5, 7}, 0, ints(0, 4, -1, -5, 2)},
		{[]int64{5, 7}, 1, ints(6, 0, -7)},
		{[]int64{3, 4, 5}, -2, ints(1, 2, 3, 0).Reshape(2, 2)},
		{[]int64{3, 4}, 0, graph.Scalar(1)},
		{[]int64{3, 4}, 0, graph.FromSlice(graph.Int32, []int32{2, -3})},
		{[]int64{3, 4}, 0, ints()},
		{[]int64{3, 0}, 0, ints(1, 1)},
		{[]int64{600, 500}, 0, ints(599, 3, 3, 100, 17, 18, 19, 20, 5, 4, 3, 2, 1, 0)},
	} {
		for _, d := range append(movedTypes, graph.BFloat16) {
			in := []*graph.Tensor{filled(r, d, k.shape...), k.indices}
			differ(t, nodeOf("", "Gather", in, 1, graph.Attr{Name: "axis", Value: k.axis}), in, 0)
		}
	}
	for _, indices := range []*graph.Tensor{ints(2, 0, -3, 1).Reshape(4, 1), ints(1, 2).Reshape(1, 2, 1), ints().Reshape(0, 1)} {
		in := []*graph.Tensor{filled(r, graph.Float16, 3, 2, 5), indices}
		differ(t, nodeOf("", "GatherND", in, 1), in, 0)
	}
	in := []*graph.Tensor{filled(r, graph.Float32, 3, 2), ints(1)}
	kernel := Lower(nodeOf("", "Gather", in, 1), Math{})[0].Kernel
	for _, bad := range []int64{3, -4, math.MaxInt64, math.MinInt64} {
		c := &Call{Ctx: context.Background(), In: []*graph.Tensor{in[0], ints(bad)}, Out: []*graph.Tensor{filled(r, graph.Float32, 1, 2)}}
		if err := kernel(c); !errors.Is(err, op.ErrInput) {
			t.Errorf("index %d: got %v, want %v", bad, err, op.ErrInput)
		}
	}
}

func TestScatterND(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, d := range movedTypes {
		for _, in := range [][]*graph.Tensor{
			{filled(r, d, 2, 5, 8), ints(0, 1, 1, 4, -1, -5).Reshape(3, 2), filled(r, d, 3, 8)},
			{filled(r, d, 6), ints(5, 0, 5).Reshape(3, 1), filled(r, d, 3)},
			{filled(r, d, 3, 4), ints(2, 3).Reshape(1, 2), filled(r, d, 1)},
			{filled(r, d, 3, 4), ints().Reshape(0, 1), filled(r, d, 0, 4)},
			{filled(r, d, 3, 0), ints(1, 2).Reshape(2, 1), filled(r, d, 2, 0)},
			{filled(r, d, 2, 3, 4), ints(1, 0).Reshape(1, 2, 1), filled(r, d, 1, 2, 3, 4)},
		} {
			differ(t, nodeOf("", "ScatterND", in, 1), in, 0)
		}
	}
	in := []*graph.Tensor{filled(r, graph.Float32, 2, 3), ints(1).Reshape(1, 1), filled(r, graph.Float32, 1, 3)}
	kernel := Lower(nodeOf("", "ScatterND", in, 1), Math{})[0].Kernel
	for _, bad := range []int64{2, -3, math.MinInt64} {
		c := &Call{Ctx: context.Background(), In: []*graph.Tensor{in[0], ints(bad).Reshape(1, 1), in[2]}, Out: []*graph.Tensor{filled(r, graph.Float32, 2, 3)}}
		if err := kernel(c); !errors.Is(err, op.ErrInput) {
			t.Errorf("index %d: got %v, want %v", bad, err, op.ErrInput)
		}
	}
}

func TestGatherBlockQuantized(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, k := range []struct {
		dtype             graph.DType
		bits, width, each int64
	}{
		{graph.Int4, 4, 64, 32}, {graph.Uint4, 4, 64, 16}, {graph.Uint8, 4, 64, 32}, {graph.Uint8, 8, 64, 32},
		{graph.Int4, 4, 50, 16}, {graph.Uint4, 4, 18, 16}, {graph.Uint8, 4, 40, 16}, {graph.Uint8, 8, 51, 16},
	} {
		for _, d := range floatTypes {
			for _, zeros := range []bool{false, true} {
				t.Run(fmt.Sprint(k, d, zeros), func(t *testing.T) {
					const rows = 9
					stored := k.width
					blocks := (k.width + k.each - 1) / k.each
					zeroWidth := blocks
					if k.dtype == graph.Uint8 {
						stored, zeroWidth = k.width*k.bits/8, (blocks*k.bits+7)/8
					}
					in := []*graph.Tensor{filled(r, k.dtype, rows, stored), ints(0, 8, -1, 3, 3, 20), random(r, d, rows, blocks)}
					if zeros {
						in = append(in, filled(r, k.dtype, rows, zeroWidth))
					}
					attrs := []graph.Attr{flag("bits", k.bits), flag("block_size", k.each), flag("gather_axis", 0), flag("quantize_axis", 1)}
					differ(t, nodeOf(op.Microsoft, "GatherBlockQuantized", in, 1, attrs...), in, 0)
				})
			}
		}
	}
}

func TestRope(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, k := range []struct{ batch, heads, rows, size, turned int64 }{
		{1, 2, 3, 8, 0}, {2, 4, 5, 32, 0}, {1, 16, 100, 80, 0}, {2, 3, 4, 10, 6}, {1, 2, 0, 8, 0}, {0, 2, 3, 8, 0}, {1, 1, 1, 2, 0},
	} {
		half := k.size / 2
		if k.turned > 0 {
			half = k.turned / 2
		}
		for _, d := range floatTypes {
			for _, interleaved := range []int64{0, 1} {
				t.Run(fmt.Sprint(k, d, interleaved), func(t *testing.T) {
					attrs := []graph.Attr{flag("rotary_embedding_dim", k.turned), flag("interleaved", interleaved), flag("num_heads", k.heads)}
					x := random(r, d, k.batch, k.heads, k.rows, k.size)
					flat := x.Reshape(k.batch, k.rows, k.heads*k.size)
					positions := make([]int64, k.batch*k.rows)
					for i := range positions {
						positions[i] = r.Int64N(50)
					}
					for _, x := range []*graph.Tensor{x, flat} {
						in := []*graph.Tensor{x, random(r, d, k.batch, k.rows, half), random(r, d, k.batch, k.rows, half)}
						differ(t, nodeOf("", "RotaryEmbedding", in, 1, attrs...), in, tolerance[d])
						in = []*graph.Tensor{x, random(r, d, 50, half), random(r, d, 50, half), graph.Ints(positions, k.batch, k.rows)}
						differ(t, nodeOf("", "RotaryEmbedding", in, 1, attrs...), in, tolerance[d])
					}
				})
			}
		}
	}
	in := []*graph.Tensor{random(r, graph.Float32, 1, 1, 1, 2), random(r, graph.Float32, 3, 1), random(r, graph.Float32, 3, 1), ints(0).Reshape(1, 1)}
	kernel := Lower(nodeOf("", "RotaryEmbedding", in, 1), Math{})[0].Kernel
	for _, bad := range []int64{3, -1} {
		c := &Call{Ctx: context.Background(), In: []*graph.Tensor{in[0], in[1], in[2], ints(bad).Reshape(1, 1)}, Out: []*graph.Tensor{filled(r, graph.Float32, 1, 1, 1, 2)}}
		if err := kernel(c); !errors.Is(err, op.ErrInput) {
			t.Errorf("position %d: got %v, want %v", bad, err, op.ErrInput)
		}
	}
}

func BenchmarkMove(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	perm := func(p ...int64) graph.Attr { return graph.Attr{Name: "perm", Value: p} }
	for _, k := range []struct {
		name, op string
		in       []*graph.Tensor
		attr     graph.Attr
	}{
		{"heads", "Transpose", []*graph.Tensor{filled(r, graph.Float32, 1, 256, 16, 128)}, perm(0, 2, 1, 3)},
		{"matrix", "Transpose", []*graph.Tensor{filled(r, graph.Float32, 1024, 1024)}, perm(1, 0)},
		{"columns", "Concat", []*graph.Tensor{filled(r, graph.Float32, 512, 40), filled(r, graph.Float32, 512, 40)}, graph.Attr{Name: "axis", Value: int64(1)}},
	} {
		b.Run(k.op+" "+k.name, func(b *testing.B) {
			ns := bench(b, nodeOf("", k.op, k.in, 1, k.attr), k.in)
			b.ReportMetric(2*float64(len(k.in)*len(k.in[0].Data))/ns, "GB/s")
		})
	}
	indices := make([]int64, 1024)
	for i := range indices {
		indices[i] = r.Int64N(1024)
	}
	in := []*graph.Tensor{filled(r, graph.Float32, 1024, 1280), ints(indices...)}
	b.Run("Gather", func(b *testing.B) {
		b.ReportMetric(2*float64(len(in[0].Data))/bench(b, nodeOf("", "Gather", in, 1), in), "GB/s")
	})
	table := []*graph.Tensor{filled(r, graph.Uint4, 1024, 2048), ints(indices...), random(r, graph.Float16, 1024, 64)}
	attrs := []graph.Attr{flag("block_size", 32), flag("gather_axis", 0), flag("quantize_axis", 1)}
	b.Run("GatherBlockQuantized", func(b *testing.B) {
		b.ReportMetric(bench(b, nodeOf(op.Microsoft, "GatherBlockQuantized", table, 1, attrs...), table)/(1024*2048), "ns/element")
	})
	x := []*graph.Tensor{random(r, graph.Float32, 1, 16, 256, 128), random(r, graph.Float32, 1, 256, 64), random(r, graph.Float32, 1, 256, 64)}
	b.Run("RotaryEmbedding", func(b *testing.B) {
		b.ReportMetric(bench(b, nodeOf("", "RotaryEmbedding", x, 1), x)/(16*256*128), "ns/element")
	})
}
