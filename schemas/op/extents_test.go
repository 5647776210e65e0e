package op

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestSymbolicShapes checks the types that the operators with matrix products,
// kernels and heads infer for symbolic extents.
func TestSymbolicShapes(t *testing.T) {
	f := func(dims ...any) graph.Type { return graph.TensorOf(graph.Float32, dims...) }
	i64 := func(dims ...any) graph.Type { return graph.TensorOf(graph.Int64, dims...) }
	u8 := func(dims ...any) graph.Type { return graph.TensorOf(graph.Uint8, dims...) }
	unranked := graph.Type{DType: graph.Float32}
	for _, k := range []struct {
		op    *Op
		attrs string // name=integer, …
		in    []graph.Type
		want  string // the outputs' types, "; " between them, or the start of an error
	}{
		{MatMul, "", []graph.Type{f("b", "s", 8), f(8, "n")}, "float32[b, s, n]"},
		{MatMul, "", []graph.Type{f("s", "k"), f("j", "n")}, "float32[s, n]"},
		{MatMul, "", []graph.Type{f("s", 8), unranked}, "float32[?]"},
		{MatMul, "", []graph.Type{f("s", 8), f(9, 2)}, "error"},
		{Gemm, "transA=1,transB=1", []graph.Type{f(8, "m"), f("n", 8)}, "float32[m, n]"},
		{Gemm, "", []graph.Type{f(2, 8, 3), f(8, 3)}, "error"},
		{FusedMatMul, "transB=1", []graph.Type{f("b", "s", 8), f(704, 8)}, "float32[b, s, 704]"},
		{Conv, "", []graph.Type{f("p", 3, 2, 14, 14), f(64, 3, 2, 14, 14)}, "float32[p, 64, 1, 1, 1]"},
		{Conv, "", []graph.Type{f("p", 4, "w"), f(64, 3, 3)}, "error"},
		{Conv, "", []graph.Type{f("p", 3, "w"), f(64, 3, 3)}, "float32[p, 64, w - 2]"},
		{MatMulNBits, "K=8,N=5", []graph.Type{f("b", "s", "h"), u8(5, 1, 16), f(5, 1)}, "float32[b, s, 5]"},
		{MatMulNBits, "K=8,N=5", []graph.Type{f("b", 9), u8(5, 1, 16), f(5, 1)}, "error"},
		{GatherBlockQuantized, "", []graph.Type{u8(704, 64), i64("b", "s"), f(704, 1)}, "float32[b, s, 128]"},
		{RMSNormalization, "", []graph.Type{f("b", "s", 8), f(8)}, "float32[b, s, 8]"},
		{RMSNormalization, "axis=3", []graph.Type{f("b", "s", 8), f(8)}, "error"},
		{LayerNormalization, "axis=1", []graph.Type{f("b", "s", 8), f(8)}, "float32[b, s, 8]; float32[b, 1, 1]; float32[b, 1, 1]"},
		{Attention, "", []graph.Type{f("b", 4, "s", 8), f("b", 2, "s", 8), f("b", 2, "s", 6), {}, f("b", 2, "p", 8), f("b", 2, "p", 6)},
			"float32[b, 4, s, 6]; float32[b, 2, p + s, 8]; float32[b, 2, p + s, 6]; float32[b, 4, s, p + s]"},
		{Attention, "q_num_heads=4,kv_num_heads=2", []graph.Type{f("b", "s", 32), f("b", "s", 16), f("b", "s", 16)},
			"float32[b, s, 32]; float32[b, 2, s, 8]; float32[b, 2, s, 8]; float32[b, 4, s, s]"},
		{Attention, "", []graph.Type{f("b", 4, "s", 8), f("b", 2, "s", 9), f("b", 2, "s", 8)}, "error"},
		{MultiHeadAttention, "num_heads=4", []graph.Type{f("b", "s", 32), f("b", "l", 32), f("b", "l", 64)},
			"float32[b, s, 64]; float32[b, 4, l, 8]; float32[b, 4, l, 16]; float32[b, 4, s, l]"},
		{FusedRoPE, "num_head=4,kv_num_head=2,head_dim=8", []graph.Type{f(1, "s", 4, 8), f("s", 1, 16), f(1, "s", 1, 8), f(1, "s", 1, 8)}, "float32[1, s, 4, 8]; float32[1, s, 2, 8]"},
		{FusedAttention, "", []graph.Type{f(1, "s", 4, 8), f(1, "s", 2, 8), f(1, "s", 2, 8)}, "float32[1, s, 32]"},
		{SegmentedAttention, "", []graph.Type{f("t", 4, 8), f("t", 2, 8), f("t", 2, 8), i64("n")}, "float32[t, 4, 8]"},
		{SegmentedAttention, "", []graph.Type{f("t", 4, 8), f(graph.Sym("t").Add(graph.Const(1)), 2, 8), f("t", 2, 8), i64("n")}, "error"},
	} {
		t.Run(fmt.Sprintf("%s %v", k.op.Name, k.in), func(t *testing.T) {
			g := graph.New("test")
			var ins []*graph.Value
			for i, typ := range k.in {
				if !typ.DType.Valid() {
					ins = append(ins, nil)
					continue
				}
				ins = append(ins, g.NewInput(fmt.Sprintf("in%d", i), typ))
			}
			var outs []string
			for _, o := range strings.Split(k.want, "; ") {
				outs = append(outs, "out "+o)
			}
			n := g.NewNode(k.op.Domain, k.op.Name, 24, ins, outs...)
			setInts(t, n, k.attrs)
			err := NewFacts(NewTable(k.op)).Node(n)
			if k.want == "error" {
				if !errors.Is(err, graph.ErrType) && !errors.Is(err, ErrInput) {
					t.Fatalf("got %v, want an error of types", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range n.Outputs {
				got = append(got, v.Type.String())
			}
			if s := strings.Join(got, "; "); s != k.want {
				t.Errorf("got %s, want %s", s, k.want)
			}
		})
	}
}

// TestRefusedCalls checks that data which an operator is not defined for is an
// error that says so, not a panic or a wrong number.
func TestRefusedCalls(t *testing.T) {
	f := func(shape ...int64) *graph.Tensor {
		x, err := graph.NewTensor(graph.Float32, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	u8 := func(shape ...int64) *graph.Tensor {
		x, err := graph.NewTensor(graph.Uint8, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	i32 := func(v ...int32) *graph.Tensor { return graph.FromSlice(graph.Int32, v) }
	const huge = "9223372036854775807"
	for _, k := range []struct {
		name  string
		op    *Op
		attrs string
		in    []*graph.Tensor
		want  error
	}{
		{"inner extents", MatMul, "", []*graph.Tensor{f(2, 3), f(2, 3)}, ErrInput},
		{"two dtypes", MatMul, "", []*graph.Tensor{f(2, 3), u8(3, 2)}, ErrInput},
		{"scalars", MatMul, "", []*graph.Tensor{f(), f(2, 2)}, ErrInput},
		{"too large a result", MatMul, "", []*graph.Tensor{f(1<<40, 0), f(0, 1<<40)}, ErrInput},
		{"addend larger than the product", Gemm, "", []*graph.Tensor{f(1, 2), f(2, 3), f(2, 3)}, ErrInput},
		{"kernel beyond the input", Conv, "", []*graph.Tensor{f(1, 1, 2), f(1, 1, 3)}, ErrInput},
		{"groups", Conv, "group=3", []*graph.Tensor{f(1, 4, 5), f(4, 1, 3)}, ErrInput},
		{"axis of scales", DequantizeLinear, "axis=2", []*graph.Tensor{u8(2, 2), f(2)}, ErrInput},
		{"number of scales", DequantizeLinear, "", []*graph.Tensor{u8(2, 2), f(3)}, ErrInput},
		{"block size", DequantizeLinear, "block_size=" + huge, []*graph.Tensor{u8(2, 2), f(2, 2)}, ErrInput},
		{"no quantised type", QuantizeLinear, "output_dtype=1", []*graph.Tensor{f(2), f()}, ErrUnsupported},
		{"position beyond the caches", RotaryEmbedding, "", []*graph.Tensor{f(1, 1, 1, 2), f(3, 1), f(3, 1), graph.Ints([]int64{3}, 1, 1)}, ErrInput},
		{"negative position", MicrosoftRotaryEmbedding, "", []*graph.Tensor{f(1, 1, 2), graph.Ints([]int64{-1}, 1, 1), f(3, 1), f(3, 1)}, ErrInput},
		{"no sections", MRotaryEmbedding, "", []*graph.Tensor{f(1, 1, 2), graph.Ints(make([]int64, 3), 3, 1, 1), f(3, 1), f(3, 1)}, ErrInput},
		{"heads that do not group", Attention, "", []*graph.Tensor{f(1, 3, 1, 2), f(1, 2, 1, 2), f(1, 2, 1, 2)}, ErrInput},
		{"3-D without heads", Attention, "", []*graph.Tensor{f(1, 3, 2), f(1, 2, 2), f(1, 2, 2)}, ErrInput},
		{"longer than the cache", Attention, "", []*graph.Tensor{f(1, 1, 1, 2), f(1, 1, 2, 2), f(1, 1, 2, 2), nil, nil, nil, graph.Ints([]int64{3})}, ErrInput},
		{"mask wider than the keys", Attention, "", []*graph.Tensor{f(1, 1, 1, 2), f(1, 1, 2, 2), f(1, 1, 2, 2), f(1, 3)}, ErrInput},
		{"more tokens than the cache holds", GroupQueryAttention, "num_heads=1,kv_num_heads=1", []*graph.Tensor{f(1, 1, 2), f(1, 1, 2), f(1, 1, 2), f(1, 1, 3, 2), f(1, 1, 3, 2), i32(5), i32(3)}, ErrInput},
		{"too large a total", GroupQueryAttention, "num_heads=1,kv_num_heads=1", []*graph.Tensor{f(1, 1, 2), f(1, 1, 2), f(1, 1, 2), nil, nil, i32(0), i32(1 << 30)}, ErrInput},
		{"attention sinks", GroupQueryAttention, "num_heads=1,kv_num_heads=1", []*graph.Tensor{f(1, 1, 2), f(1, 1, 2), f(1, 1, 2), nil, nil, i32(0), i32(1), nil, nil, nil, nil, f(1)}, ErrUnsupported},
		{"packed", MultiHeadAttention, "num_heads=1", []*graph.Tensor{f(1, 1, 1, 3, 2)}, ErrUnsupported},
		{"descending segments", SegmentedAttention, "", []*graph.Tensor{f(3, 1, 2), f(3, 1, 2), f(3, 1, 2), i32(0, 2, 1, 3)}, ErrInput},
		{"segments that end early", SegmentedAttention, "", []*graph.Tensor{f(3, 1, 2), f(3, 1, 2), f(3, 1, 2), i32(0, 2)}, ErrInput},
		{"a cache that is not there", FusedAttention, "", []*graph.Tensor{f(1, 1, 1, 2), f(1, 1, 1, 2), f(1, 1, 1, 2), f(1, 1, 1, 9)}, ErrInput},
		{"bytes missing", MatMulNBits, "K=32,N=2,block_size=32", []*graph.Tensor{f(1, 32), u8(2, 1, 15), f(2, 1)}, ErrInput},
		{"g_idx", MatMulNBits, "K=32,N=2,block_size=32", []*graph.Tensor{f(1, 32), u8(2, 1, 16), f(2, 1), nil, i32(0)}, ErrUnsupported},
		{"too many features", MatMulNBits, "K=32,block_size=32,N=" + huge, []*graph.Tensor{f(1, 32), u8(2, 1, 16), f(2, 1)}, ErrInput},
		{"wrong number of scales", GatherBlockQuantized, "block_size=16", []*graph.Tensor{u8(4, 16), graph.Ints([]int64{0}), f(4, 1)}, ErrInput},
		{"window on padding alone", MaxPool, "kernel_shape=1,pads=1 1", []*graph.Tensor{f(1, 1, 2)}, ErrInput},
	} {
		t.Run(k.op.Name+" "+k.name, func(t *testing.T) {
			g := graph.New("test")
			ins := make([]*graph.Value, len(k.in))
			for i, x := range k.in {
				if x != nil {
					ins[i] = g.NewInput(fmt.Sprintf("in%d", i), x.Type())
				}
			}
			n := g.NewNode(k.op.Domain, k.op.Name, 24, ins, "out")
			setInts(t, n, k.attrs)
			if _, err := NewTable(k.op).Eval(context.Background(), n, k.in, nil); !errors.Is(err, k.want) {
				t.Errorf("got %v, want %v", err, k.want)
			}
		})
	}
}

// setInts sets attributes written as name=integer or name=integers, comma
// between them.
func setInts(t *testing.T, n *graph.Node, attrs string) {
	t.Helper()
	if attrs == "" {
		return
	}
	for _, a := range strings.Split(attrs, ",") {
		name, text, _ := strings.Cut(a, "=")
		var v []int64
		for _, s := range strings.Fields(text) {
			var x int64
			if _, err := fmt.Sscan(s, &x); err != nil {
				t.Fatalf("attribute %s: %v", a, err)
			}
			v = append(v, x)
		}
		if name == "kernel_shape" || name == "pads" {
			n.SetAttr(name, v)
		} else {
			n.SetAttr(name, v[0])
		}
	}
}
