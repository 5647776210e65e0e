package gputest

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// stored are the ways in which weights of products are stored.
var stored = []struct {
	what              string
	bits, block, zero int64
}{{what: "floats"}, {"4 bits", 4, 32, 0}, {"4 bits with zeros", 4, 32, 1}, {"4 bits in long blocks", 4, 128, 1}, {"8 bits", 8, 32, 0}, {"8 bits with zeros", 8, 64, 1},
	{"4 bits in short blocks", 4, 16, 0}}

// product appends x times n rows of k numbers, stored as form says, and a bias.
func (l *lab) product(form int, x *graph.Value, d graph.DType, k, n int64, bias bool) *graph.Value {
	f := stored[form]
	if f.bits == 0 {
		y := l.node("MatMul", []*graph.Value{x, l.constant(l.random(d, k, n))})
		if bias {
			y = l.node("Add", []*graph.Value{y, l.constant(l.random(d, n))})
		}
		return y
	}
	blocks := (k + f.block - 1) / f.block
	in := []*graph.Value{x, l.constant(l.bytes(graph.Uint8, n, blocks, f.block*f.bits/8)), l.constant(l.small(l.random(d, n*blocks), 0.1)), nil, nil, nil}
	if f.zero > 0 {
		in[3] = l.constant(l.bytes(graph.Uint8, n*((blocks*f.bits+7)/8)))
	}
	if bias {
		in[5] = l.constant(l.random(d, n))
	}
	return l.nodes(op.Microsoft, "MatMulNBits", 1, in, attr("bits", f.bits), attr("block_size", f.block), attr("K", k), attr("N", n))[0]
}

// small scales a tensor down, so that products of products stay numbers of 16 bits.
func (l *lab) small(t *graph.Tensor, by float32) *graph.Tensor {
	v, err := t.Float32s()
	if err != nil {
		l.Fatal(err)
	}
	for i := range v {
		v[i] *= by
	}
	if err := t.SetFloat32s(v); err != nil {
		l.Fatal(err)
	}
	return t
}

// testJoined covers products of one tensor that are one launch for few rows: with and
// without a normalisation before them, as gate and value of SwiGLU, and alone with a
// residual.
func testJoined(l *lab) {
	for _, d := range floatTypes {
		for form := range stored {
			for i, m := range []int64{0, 1, 3, 8, 9, 16, 21} {
				k := []int64{64, 136, 264, 1288, 2056}[(i+form)%5]
				if d == graph.Float32 && i%3 != form%3 { // no kernel of its own
					continue
				}
				normed := (i+form/2)%2 == 0
				what := fmt.Sprintf("%s, %s, m %d, k %d, normalised %v", d, stored[form].what, m, k, normed)
				switch (i + form) % 3 {
				case 0:
					l.begin()
					x := l.input(l.random(d, 1, m, k))
					if normed {
						x = l.node("RMSNormalization", []*graph.Value{x, l.constant(l.random(d, k))}, attr("epsilon", float32(1e-6)))
					}
					a, b, c := l.product(form, x, d, k, []int64{40, 600}[i/2%2], true), l.product(form, x, d, k, 7, false), l.product(form, x, d, k, 17, true)
					l.differ("three products of "+what, 1, tolerance[d], a, b, c)
				case 1:
					l.begin()
					x := l.input(l.small(l.random(d, 1, m, k), 0.05))
					if normed {
						x = l.node("RMSNormalization", []*graph.Value{x, l.constant(l.small(l.random(d, k), 0.05))}, attr("epsilon", float32(1e-6)))
					}
					gate, value := l.product(form, x, d, k, 21, false), l.product(form, x, d, k, 21, true)
					y := l.node("Mul", []*graph.Value{l.node("Swish", []*graph.Value{gate}), value})
					l.differ("gated product of "+what, 1, 2*tolerance[d], y)
				case 2:
					l.begin()
					y := l.product(form, l.input(l.random(d, 1, m, k)), d, k, 23, true)
					y = l.node("Add", []*graph.Value{l.input(l.random(d, 1, m, 23)), y})
					l.differ("product and residual of "+what, 1, tolerance[d], y)
				}
			}
		}
	}
}
