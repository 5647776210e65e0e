package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

func flag(name string, v int64) graph.Attr { return graph.Attr{Name: name, Value: v} }

func TestAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []struct{ batch, heads, kvHeads, rows, keys, size, width int64 }{
		{1, 1, 1, 1, 1, 1, 1},
		{1, 4, 2, 1, 100, 32, 32},
		{2, 4, 2, 16, 130, 32, 24},
		{3, 6, 1, 5, 64, 3, 7},
		{1, 2, 2, 200, 200, 16, 16},
		{2, 3, 3, 67, 129, 80, 80},
		{1, 16, 2, 9, 65, 128, 128},
		{1, 2, 1, 0, 4, 8, 8},
		{1, 2, 1, 4, 0, 8, 8},
		{0, 2, 1, 4, 3, 8, 8},
		{1, 70, 1, 3, 10, 4, 4},
	} {
		for _, d := range floatTypes {
			for _, causal := range []int64{0, 1} {
				t.Run(fmt.Sprintf("%v %s causal %d", k, d, causal), func(t *testing.T) {
					q := random(r, d, k.batch, k.heads, k.rows, k.size)
					x := random(r, d, k.batch, k.kvHeads, k.keys, k.size)
					v := random(r, d, k.batch, k.kvHeads, k.keys, k.width)
					lengths := make([]int64, k.batch)
					for i := range lengths {
						lengths[i] = r.Int64N(k.keys + 1)
					}
					for _, in := range [][]*graph.Tensor{{q, x, v}, {q, x, v, nil, nil, nil, ints(lengths...).Reshape(k.batch)}} {
						root := float32(1 / math.Sqrt(float64(k.size)))
						differ(t, nodeOf("", "Attention", in, 1, flag("is_causal", causal)), in, afterExp(d, q, x, root))
						differ(t, nodeOf("", "Attention", in, 1, flag("is_causal", causal), graph.Attr{Name: "scale", Value: float32(3)}), in, afterExp(d, q, x, 3))
					}
					in := []*graph.Tensor{
						q.Reshape(k.batch, k.rows, k.heads*k.size), x.Reshape(k.batch, k.keys, k.kvHeads*k.size), v.Reshape(k.batch, k.keys, k.kvHeads*k.width),
					}
					differ(t, nodeOf("", "Attention", in, 1, flag("is_causal", causal), flag("q_num_heads", k.heads), flag("kv_num_heads", k.kvHeads)), in, tolerance[d])
				})
			}
		}
	}
}

// afterExp returns the tolerance where scores of q and k are exponents: rounding one
// otherwise, by half a unit of its last place, changes its weight by as much times
// the score.
func afterExp(d graph.DType, q, k *graph.Tensor, scale float32) float64 {
	most := func(t *graph.Tensor) float64 {
		v, _ := t.Float32s()
		width, largest := max(1, int(t.Shape[len(t.Shape)-1])), 0.0
		for ; len(v) >= width; v = v[width:] {
			sum := 0.0
			for _, x := range v[:width] {
				sum += float64(x) * float64(x)
			}
			largest = max(largest, math.Sqrt(sum))
		}
		return largest
	}
	return tolerance[d] + 0x1p-24*most(q)*most(k)*float64(scale)
}

// Scores far apart, and growing from key to key, so that the largest so far
// changes in every block.
func TestAttentionFollowsTheLargestScore(t *testing.T) {
	const keys = 300
	q, x, v := make([]float32, 4), make([]float32, keys), make([]float32, keys)
	for i := range q {
		q[i] = float32(i) - 1
	}
	for j := range keys {
		x[j], v[j] = float32(j)-100, float32(j%7)
	}
	in := []*graph.Tensor{graph.Floats(q, 1, 1, 4, 1), graph.Floats(x, 1, 1, keys, 1), graph.Floats(v, 1, 1, keys, 1)}
	differ(t, nodeOf("", "Attention", in, 1), in, 3e-6)
}

// A query all of whose scores are -Inf sees nothing, in one block as in several.
func TestAttentionOfHiddenKeys(t *testing.T) {
	inf := float32(math.Inf(-1))
	for _, keys := range []int64{1, 63, 200} {
		x, v := make([]float32, keys), make([]float32, keys)
		for j := range x {
			x[j], v[j] = inf, 1
		}
		in := []*graph.Tensor{graph.Floats([]float32{1, 2}, 1, 1, 2, 1), graph.Floats(x, 1, 1, keys, 1), graph.Floats(v, 1, 1, keys, 1)}
		differ(t, nodeOf("", "Attention", in, 1), in, 3e-6)
		x[keys-1], v[keys-1] = 0, 7
		in[1], in[2] = graph.Floats(x, 1, 1, keys, 1), graph.Floats(v, 1, 1, keys, 1)
		differ(t, nodeOf("", "Attention", in, 1), in, 3e-6)
	}
}

// What lies in the cache beyond its length is never read as a number.
func TestAttentionIgnoresUnusedCache(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const rows, capacity = 3, 70
	q := random(r, graph.Float32, 1, 2, rows, 8)
	x, v := random(r, graph.Float32, 1, 1, capacity, 8), random(r, graph.Float32, 1, 1, capacity, 8)
	for length := range capacity {
		for _, c := range []*graph.Tensor{x, v} {
			for i, f := range graph.View[float32](c) {
				if i >= length*8 {
					f = float32(math.NaN())
				}
				graph.View[float32](c)[i] = f
			}
		}
		for i := range length * 8 {
			graph.View[float32](x)[i], graph.View[float32](v)[i] = r.Float32(), r.Float32()
		}
		in := []*graph.Tensor{q, x, v, nil, nil, nil, ints(int64(length))}
		differ(t, nodeOf("", "Attention", in, 1, flag("is_causal", 1)), in, 3e-6)
	}
}

// Each of 16 tokens gives the same bits alone, behind the tokens before it, as
// among all of them.
func TestAttentionRowsStandAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const heads, rows, keys, size = 4, 16, 150, 32
	for _, d := range floatTypes {
		q := random(r, d, 1, heads, rows, size)
		x, v := random(r, d, 1, 2, keys, size), random(r, d, 1, 2, keys, size)
		run := func(q *graph.Tensor, length int64) []byte {
			in := []*graph.Tensor{q, x, v, nil, nil, nil, ints(length)}
			return differ(t, nodeOf("", "Attention", in, 1, flag("is_causal", 1)), in, tolerance[d])[0].Data
		}
		all := run(q, keys)
		vector := size * d.Bits() / 8
		for i := range rows {
			one, _ := graph.NewTensor(d, 1, heads, 1, size)
			for h := range heads {
				copy(one.Data[h*vector:], q.Data[(h*rows+i)*vector:][:vector])
			}
			got := run(one, int64(keys-rows+i+1))
			for h := range heads {
				if !bytes.Equal(got[h*vector:][:vector], all[(h*rows+i)*vector:][:vector]) {
					t.Errorf("%s: token %d, head %d alone has other bits than among %d", d, i, h, rows)
				}
			}
		}
	}
}

// Over codes too, whose products of keys are integers where rows are 64 long.
func TestAttentionOfCodesRowsStandAlone(t *testing.T) {
	const heads, rows, keys = 4, 16, 203
	for _, size := range []int64{24, 64, 128} {
		m := &trial{multiply: newMultiply(t, uint64(size))}
		q := m.numbers(graph.Float32, 1, heads, rows, size)
		all := m.codes(q, 2, keys)
		run := func(q *graph.Tensor, length int64) []float32 {
			g := &trial{multiply: newMultiply(t, 1)}
			g.codes(q, 2, keys)
			groups, out := Lower(g.g, Math{}), graph.Floats(make([]float32, q.Len()), q.Shape...)
			if len(groups) != 1 {
				t.Fatalf("%d kernels", len(groups))
			}
			in := map[*graph.Value]*graph.Tensor{}
			for i, v := range g.g.Inputs {
				in[v] = all[i]
			}
			in[g.g.Inputs[0]], in[g.g.Inputs[5]] = q, ints(length)
			c := &Call{Ctx: t.Context(), Out: []*graph.Tensor{out}}
			for _, v := range groups[0].In {
				c.In = append(c.In, in[v])
			}
			if err := groups[0].Kernel(c); err != nil {
				t.Fatal(err)
			}
			return graph.View[float32](out)
		}
		among, x := run(q, keys), graph.View[float32](q)
		for i := range int64(rows) {
			var one []float32
			for h := range int64(heads) {
				one = append(one, x[(h*rows+i)*size:][:size]...)
			}
			got := run(graph.Floats(one, 1, heads, 1, size), keys-rows+i+1)
			for h := range int64(heads) {
				if !slices.Equal(got[h*size:][:size], among[(h*rows+i)*size:][:size]) {
					t.Errorf("size %d: token %d, head %d alone has other bits than among %d", size, i, h, rows)
				}
			}
		}
	}
}

func TestAttentionRefusesWhatDoesNotFit(t *testing.T) {
	q, x := graph.Floats(make([]float32, 8), 1, 2, 1, 4), graph.Floats(make([]float32, 8), 1, 1, 2, 4)
	good := []*graph.Tensor{q, x, x, nil, nil, nil, ints(2)}
	g := nodeOf("", "Attention", good, 1)
	kernel := Lower(g, Math{})[0].Kernel
	for _, bad := range []struct {
		input int
		is    *graph.Tensor
	}{
		{0, graph.Floats(make([]float32, 8), 2, 1, 1, 4)}, {1, x.Reshape(1, 4, 2, 1)}, {2, x.Reshape(1, 1, 4, 2)}, {6, ints(3)}, {6, ints(-1)}, {6, ints(1, 1)},
	} {
		in := append([]*graph.Tensor{}, good...)
		in[bad.input] = bad.is
		out, _ := graph.NewTensor(graph.Float32, 1, 2, 1, 4)
		if err := kernel(&Call{Ctx: context.Background(), In: in, Out: []*graph.Tensor{out}}); !errors.Is(err, op.ErrInput) {
			t.Errorf("input %d, %s: got %v, want %v", bad.input, bad.is.Type(), err, op.ErrInput)
		}
	}
}

func TestSegmentedAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range []struct {
		heads, kvHeads, size int64
		cu                   []int64
	}{
		{1, 1, 1, []int64{0, 1}},
		{4, 4, 32, []int64{0, 64, 128, 144}},
		{4, 2, 80, []int64{0, 0, 3, 70, 70, 205, 205}},
		{2, 2, 5, []int64{0}},
		{2, 1, 16, []int64{0, 0, 0}},
		{16, 16, 8, []int64{0, 300}},
	} {
		for _, d := range floatTypes {
			t.Run(fmt.Sprint(k, d), func(t *testing.T) {
				tokens := k.cu[len(k.cu)-1]
				in := []*graph.Tensor{random(r, d, tokens, k.heads, k.size), random(r, d, tokens, k.kvHeads, k.size), random(r, d, tokens, k.kvHeads, k.size), ints(k.cu...)}
				differ(t, nodeOf(op.Mnnconv, "SegmentedAttention", in, 1), in, tolerance[d])
				short := make([]int32, len(k.cu))
				for i, v := range k.cu {
					short[i] = int32(v)
				}
				in[3] = graph.FromSlice(graph.Int32, short)
				differ(t, nodeOf(op.Mnnconv, "SegmentedAttention", in, 1, graph.Attr{Name: "scale", Value: float32(0.2)}), in, tolerance[d])
			})
		}
	}
}

func TestSegmentedAttentionRefusesBoundaries(t *testing.T) {
	q := graph.Floats(make([]float32, 12), 3, 1, 4)
	in := []*graph.Tensor{q, q, q, ints(0, 2, 3)}
	kernel := Lower(nodeOf(op.Mnnconv, "SegmentedAttention", in, 1), Math{})[0].Kernel
	for _, cu := range [][]int64{{}, {0}, {0, 2}, {1, 3}, {0, 2, 1, 3}, {0, 9, 3}, {0, -1, 3}, {0, 4}, {0, math.MaxInt64, 3}} {
		out, _ := graph.NewTensor(graph.Float32, 3, 1, 4)
		in[3] = graph.Ints(cu, int64(len(cu)))
		if err := kernel(&Call{Ctx: context.Background(), In: in, Out: []*graph.Tensor{out}}); !errors.Is(err, op.ErrInput) {
			t.Errorf("boundaries %v: got %v, want %v", cu, err, op.ErrInput)
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []struct {
		name                           string
		heads, kvHeads, rows, keys, of int64
	}{
		{"prefill", 16, 2, 256, 256, 128},
		{"decode", 16, 2, 1, 1024, 128},
		{"decode 3B", 16, 2, 1, 560, 128},
		{"decode 0.5B", 14, 2, 1, 560, 64},
		{"small prefill", 4, 2, 128, 128, 32},
		{"small decode", 4, 2, 1, 200, 32},
		{"long decode 3B", 16, 2, 1, 8192, 128},
		{"long decode 0.5B", 14, 2, 1, 8192, 64},
	} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16, graph.Int8} {
			b.Run(fmt.Sprint(k.name, " ", d), func(b *testing.B) {
				var ns float64
				if d == graph.Int8 {
					m := &trial{multiply: newMultiply(b, 1)}
					ns = bench(b, m.g, m.codes(random(r, graph.Float32, 1, k.heads, k.rows, k.of), k.kvHeads, k.keys))
				} else {
					in := []*graph.Tensor{
						random(r, d, 1, k.heads, k.rows, k.of), random(r, d, 1, k.kvHeads, k.keys, k.of), random(r, d, 1, k.kvHeads, k.keys, k.of), nil, nil, nil, ints(k.keys),
					}
					ns = bench(b, nodeOf("", "Attention", in, 1, flag("is_causal", 1)), in)
				}
				seen := k.rows*(k.keys-k.rows) + k.rows*(k.rows+1)/2
				b.ReportMetric(float64(4*seen*k.heads*k.of)/ns, "GFLOP/s")
			})
		}
	}
}

// codes makes attention over a cache of codes that is full.
func (m *trial) codes(q *graph.Tensor, kvHeads, keys int64) []*graph.Tensor {
	size := q.Shape[3]
	ins := []*graph.Value{m.input(q)}
	for range 2 {
		codes, scales := filled(m.rand, graph.Int8, 1, kvHeads, keys, size), m.scaled(graph.Float32, 1./127, 1, kvHeads, keys, 1)
		ins = append(ins, m.node("", "DequantizeLinear", []graph.Attr{flag("axis", -1), flag("block_size", size)}, m.input(codes), m.input(scales)).out)
	}
	m.node("", "Attention", []graph.Attr{flag("is_causal", 1)}, append(ins, nil, nil, nil, m.input(ints(keys)))...)
	return m.in
}

func BenchmarkQuantizeVectors(b *testing.B) {
	for _, rows := range []int64{1, 512} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			m := &trial{multiply: newMultiply(b, 1)}
			m.quantizeVectorsOf(m.numbers(graph.Float32, 1, 2, rows, 64))
			bench(b, m.g, m.in)
		})
	}
}

func BenchmarkSegmentedAttention(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []struct {
		name                     string
		heads, size, tokens, per int64
	}{
		{"full", 4, 32, 1024, 1024},
		{"windows", 4, 32, 1024, 64},
		{"full 80", 4, 80, 1024, 1024},
	} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16} {
			b.Run(fmt.Sprint(k.name, " ", d), func(b *testing.B) {
				x := random(r, d, k.tokens, k.heads, k.size)
				var cu []int64
				for at := int64(0); at <= k.tokens; at += k.per {
					cu = append(cu, at)
				}
				in := []*graph.Tensor{x, x, x, ints(cu...)}
				ns := bench(b, nodeOf(op.Mnnconv, "SegmentedAttention", in, 1), in)
				b.ReportMetric(float64(4*k.tokens*k.per*k.heads*k.size)/ns, "GFLOP/s")
			})
		}
	}
}
