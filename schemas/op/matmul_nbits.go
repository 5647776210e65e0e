package op

import (
	"context"
	"fmt"

	"mnnconv/graph"
)

// MatMulNBits is onnxruntime's matrix product with packed weights.
var MatMulNBits = &Op{
	Domain: Microsoft, Name: "MatMulNBits", Since: 1,
	Doc: "Y[…, n] = bias[n] + Σ A[…, k]·(B[n, k] - zero_points)·scales over k < K. B [N, blocks, block_size·bits/8] packs 2, 4 or 8 bits, low ones first, " +
		"in blocks of block_size along k, the last one padded. scales has one number per block, and so has zero_points: of A's type, or packed like B with each row starting at a byte; " +
		"without it, zero is 2^(bits-1). " +
		"Weights are dequantised and products summed in float32; accuracy_level is a hint to kernels and changes nothing here. g_idx is refused.",
	Inputs: []string{"A", "B", "scales", "zero_points?", "g_idx?", "bias?"}, Outputs: []string{"Y"},
	Attrs: []string{"K", "N", "accuracy_level", "bits", "block_size", "weight_prepacked"},
	Infer: func(in *Inference) error {
		d, s := in.Type(0).DType, in.Type(0).Shape
		in.SetTensor(0, d, nil)
		if !s.Ranked() {
			return nil
		}
		if len(s) == 0 {
			return in.Errorf("A is a scalar")
		}
		n := len(s) - 1
		if _, err := in.agree("last extent of A and K", s[n], graph.Const(in.Node.Int("K", 0))); err != nil {
			return err
		}
		in.SetTensor(0, d, append(s[:n:n], graph.Const(in.Node.Int("N", 0))))
		return nil
	},
	Eval:  evalMatMulNBits,
	FLOPs: productFLOPs,
	Cases: nbitsCases,
}

// nbits is the weight of one call: rows of K numbers in packed blocks.
type nbits struct {
	rows, k, bits, block, blocks int
	packed                       []byte
	scales                       []float32
	zeros                        func(row, block int) float32
}

func evalMatMulNBits(c *Call) error {
	a, bias := c.Arg(0), c.Arg(5)
	if err := c.wantFloat16or32(); err != nil {
		return err
	}
	if c.Arg(4) != nil && c.Arg(4).Len() > 0 {
		return fmt.Errorf("g_idx is %w", ErrUnsupported)
	}
	if p := c.Node.Int("weight_prepacked", 0); p != 0 {
		return fmt.Errorf("weight_prepacked %d is %w", p, ErrUnsupported)
	}
	k, n := c.Node.Int("K", 0), c.Node.Int("N", 0)
	last := len(a.Shape) - 1
	if last < 0 || a.Shape[last] != k || k < 1 || n < 1 {
		return inputErrorf("A has shape %v, K is %d and N %d", a.Shape, k, n)
	}
	w, err := newNBits(c, int(n), int(k))
	if err != nil {
		return err
	}
	out, err := c.New(0, a.DType, append(a.Shape[:last:last], n)...)
	if err != nil {
		return err
	}
	x, err := a.Float32s()
	if err != nil {
		return err
	}
	y := accumulator[float32](out)
	if err := w.product(c, y, x); err != nil {
		return err
	}
	if bias != nil {
		b, err := bias.Float32s()
		if err != nil {
			return err
		}
		if int64(len(b)) != n {
			return inputErrorf("%d biases for %d features", len(b), n)
		}
		for i := range y {
			y[i] += b[i%len(b)]
		}
	}
	return finish(out, y)
}

// newNBits reads the weight and checks all its sizes.
func newNBits(c *Call, rows, k int) (*nbits, error) {
	b, scales, zeros := c.Arg(1), c.Arg(2), c.Arg(3)
	bits, block := c.Node.Int("bits", 4), c.Node.Int("block_size", 0)
	if bits != 2 && bits != 4 && bits != 8 {
		return nil, fmt.Errorf("weights of %d bits are %w", bits, ErrUnsupported)
	}
	if block < 1 || block > graph.MaxElements || block*bits%8 != 0 {
		return nil, inputErrorf("blocks of %d", block)
	}
	w := &nbits{rows: rows, k: k, bits: int(bits), block: int(block), blocks: k/int(block) + min(1, k%int(block))}
	count, ok := graph.CheckedMul(int64(rows), int64(w.blocks))
	size, ok2 := graph.CheckedMul(count, block*bits/8)
	if !ok || !ok2 || b.DType != graph.Uint8 || int64(len(b.Data)) != size || int64(scales.Len()) != count {
		return nil, inputErrorf("weights %s and scales %v for %d by %d in blocks of %d, %d bits each", b.Type(), scales.Shape, rows, k, block, bits)
	}
	w.packed = b.Data
	var err error
	if w.scales, err = scales.Float32s(); err != nil {
		return nil, err
	}
	switch {
	case zeros == nil:
		half := float32(int(1) << (bits - 1))
		w.zeros = func(int, int) float32 { return half }
	case zeros.DType == graph.Uint8:
		if w.zeros, err = packedZeros(zeros, w.bits, rows, w.blocks); err != nil {
			return nil, err
		}
	default:
		z, err := zeros.Float32s()
		if err != nil {
			return nil, err
		}
		if int64(len(z)) != count {
			return nil, inputErrorf("zero points of shape %v for %d blocks", zeros.Shape, count)
		}
		w.zeros = func(row, block int) float32 { return z[row*w.blocks+block] }
	}
	return w, nil
}

// packedZeros returns the lookup in zero points of the given bits, of which
// each row of n starts at a byte.
func packedZeros(t *graph.Tensor, bits, rows, n int) (func(row, i int) float32, error) {
	stride := (n*bits + 7) / 8
	if t.Len() != rows*stride {
		return nil, inputErrorf("packed zero points of shape %v, want %d bytes for each of %d rows", t.Shape, stride, rows)
	}
	per := 8 / bits
	return func(row, i int) float32 {
		return float32(t.Data[row*stride+i/per] >> (i % per * bits) & (1<<bits - 1))
	}, nil
}

// row dequantises one row into dst, which holds K numbers.
func (w *nbits) row(dst []float32, row int) {
	bytes := w.block * w.bits / 8
	per, mask := 8/w.bits, byte(1<<w.bits-1)
	for b := range w.blocks {
		at := row*w.blocks + b
		src, scale, zero := w.packed[at*bytes:][:bytes], w.scales[at], w.zeros(row, b)
		out := dst[b*w.block : min((b+1)*w.block, w.k)]
		if w.bits == 4 {
			var table [16]float32
			for q := range table {
				table[q] = (float32(q) - zero) * scale
			}
			for i, q := range src[:len(out)/2] {
				out[2*i], out[2*i+1] = table[q&15], table[q>>4]
			}
			if last := len(out) - 1; last%2 == 0 {
				out[last] = table[src[last/2]&15]
			}
			continue
		}
		for i := range out {
			q := src[i/per] >> (i % per * w.bits) & mask
			out[i] = (float32(q) - zero) * scale
		}
	}
}

// UnpackNBits returns the weights of a MatMulNBits with these inputs, float32 [K, N], as
// the second operand of a MatMul.
func UnpackNBits(ctx context.Context, node *graph.Node, in []*graph.Tensor) (*graph.Tensor, error) {
	n, k := node.Int("N", 0), node.Int("K", 0)
	if len(in) < 3 || in[1] == nil || in[2] == nil || n < 1 || k < 1 || n > graph.MaxElements/k {
		return nil, inputErrorf("weights of %d by %d", n, k)
	}
	w, err := newNBits(&Call{Ctx: ctx, Node: node, In: in}, int(n), int(k))
	if err != nil {
		return nil, err
	}
	out := make([]float32, n*k)
	row := make([]float32, k)
	for r := range int(n) {
		w.row(row, r)
		for i, x := range row {
			out[i*int(n)+r] = x
		}
	}
	return graph.Floats(out, k, n), nil
}

// nbitsRows is the number of weight rows dequantised at a time.
const nbitsRows = 16

// product stores x·Wᵀ in y.
func (w *nbits) product(c *Call, y, x []float32) error {
	buffer := make([]float32, nbitsRows*w.k)
	for first := 0; first < w.rows; first += nbitsRows {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		n := min(nbitsRows, w.rows-first)
		for r := range n {
			w.row(buffer[r*w.k:][:w.k], first+r)
		}
		for m := range len(x) / w.k {
			dots(y[m*w.rows+first:][:n], x[m*w.k:][:w.k], buffer, w.k, n)
		}
	}
	return nil
}

func nbitsCases() []Case {
	attrs := func(k, n, bits int64) []graph.Attr {
		return []graph.Attr{
			{Name: "K", Value: k}, {Name: "N", Value: n}, {Name: "bits", Value: bits}, {Name: "block_size", Value: int64(16)}, {Name: "accuracy_level", Value: int64(4)},
		}
	}
	ones := func(shape ...int64) *graph.Tensor {
		t, _ := graph.NewTensor(graph.Float32, shape...)
		fill(graph.View[float32](t), 1)
		return t
	}
	weights := func(n int, b byte, shape ...int64) *graph.Tensor {
		v := make([]uint8, n)
		fill(v, b)
		return graph.FromSlice(graph.Uint8, v, shape...)
	}
	return []Case{{
		Name: "4 bits, symmetric: 9 is 1 and 6 is -2", Attrs: attrs(16, 1, 4),
		In:   []*graph.Tensor{graph.Floats([]float32{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10}, 1, 16), weights(8, 0x69, 1, 1, 8), graph.Floats([]float32{0.5}, 1, 1)},
		Want: []*graph.Tensor{graph.Floats([]float32{-9.5}, 1, 1)},
	}, {
		Name: "two blocks, the last one short, packed zero points, bias", Attrs: attrs(20, 2, 4),
		In: []*graph.Tensor{
			ones(2, 1, 20), weights(32, 0x33, 2, 2, 8), graph.Floats([]float32{1, 10, 2, 1}, 2, 2), graph.FromSlice(graph.Uint8, []uint8{0x21, 0x30}, 2, 1), nil,
			graph.Floats([]float32{100, 200}),
		},
		Want: []*graph.Tensor{graph.Floats([]float32{172, 296, 172, 296}, 2, 1, 2)},
	}, {
		Name: "8 bits, float zero points, flat scales", Attrs: attrs(16, 2, 8),
		In: []*graph.Tensor{
			ones(1, 16), weights(32, 200, 2, 1, 16), graph.Floats([]float32{1, 0.5}), graph.Floats([]float32{199, 198.5}, 2, 1),
		},
		Want: []*graph.Tensor{graph.Floats([]float32{16, 12}, 1, 2)},
	}, {
		Name: "float16", Attrs: attrs(16, 1, 4),
		In:   []*graph.Tensor{narrow(graph.Float16, make([]float32, 16), 1, 16), weights(8, 0xff, 1, 1, 8), narrow(graph.Float16, []float32{1}, 1, 1)},
		Want: []*graph.Tensor{narrow(graph.Float16, []float32{0}, 1, 1)},
	}, {
		Name: "no rows", Attrs: attrs(16, 1, 4),
		In:   []*graph.Tensor{ones(0, 16), weights(8, 0, 1, 1, 8), ones(1, 1)},
		Want: []*graph.Tensor{ones(0, 1)},
	}}
}
