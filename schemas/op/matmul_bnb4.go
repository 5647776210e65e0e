package op

import (
	"fmt"

	"mnnconv/graph"
)

// MatMulBnb4 is onnxruntime's matrix product with the 4-bit weights of bitsandbytes.
var MatMulBnb4 = &Op{
	Domain: Microsoft, Name: "MatMulBnb4", Since: 1,
	Doc: "Y[…, n] = Σ A[…, k]·W[n, k] over k < K. B packs codes of 4 bits for W [N, K] row by row, high ones first; each stands for a number of a table times the absmax of its block of " +
		"block_size codes. quant_type 0 is FP4, 1 is NF4 (Dettmers et al., \"QLoRA\", 2023). transB = 0, training's form, is refused. Computed in float32 and rounded once.",
	Inputs: []string{"A", "B", "absmax"}, Outputs: []string{"Y"},
	Attrs: []string{"K", "N", "block_size", "quant_type", "training_mode", "transB"},
	Infer: MatMulNBits.Infer,
	Eval: func(c *Call) error {
		a, b := c.Arg(0), c.Arg(1)
		if err := c.wantFloat16or32(); err != nil {
			return err
		}
		k, n, block, kind := c.Node.Int("K", 0), c.Node.Int("N", 0), c.Node.Int("block_size", 0), c.Node.Int("quant_type", 0)
		if c.Node.Int("transB", 1) != 1 || kind < 0 || kind > 1 {
			return fmt.Errorf("quant_type %d with transB %d is %w", kind, c.Node.Int("transB", 1), ErrUnsupported)
		}
		last := len(a.Shape) - 1
		count, ok := graph.CheckedMul(n, k)
		if last < 0 || a.Shape[last] != k || !ok || count == 0 || block < 1 || b.DType != graph.Uint8 ||
			int64(len(b.Data)) != count/2+count%2 || int64(c.Arg(2).Len()) != count/block+min(1, count%block) {
			return inputErrorf("A %s, B %s and absmax %s for K %d, N %d and blocks of %d", a.Type(), b.Type(), c.Arg(2).Type(), k, n, block)
		}
		x, err := a.Float32s()
		if err != nil {
			return err
		}
		absmax, err := c.Arg(2).Float32s()
		if err != nil {
			return err
		}
		out, err := c.New(0, a.DType, append(a.Shape[:last:last], n)...)
		if err != nil {
			return err
		}
		y := accumulator[float32](out)
		if len(x) == 0 || len(y) == 0 {
			return nil
		}
		rows, width := int(n), int(k)
		row := make([]float32, width)
		for r := range rows {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			for j := range row {
				i := r*width + j
				row[j] = bnb4[kind][b.Data[i/2]>>(4-i%2*4)&15] * absmax[i/int(block)]
			}
			for m := range len(x) / width {
				dots(y[m*rows+r:], x[m*width:][:width], row, width, 1)
			}
		}
		return finish(out, y)
	},
	Cases: func() []Case {
		attrs := func(kind int64) []graph.Attr {
			return []graph.Attr{{Name: "K", Value: int64(4)}, {Name: "N", Value: int64(2)}, {Name: "block_size", Value: int64(16)}, {Name: "quant_type", Value: kind}}
		}
		codes := graph.FromSlice(graph.Uint8, []uint8{0x03, 0x0b, 0xf0, 0x7f})
		return []Case{{
			Name: "NF4", Attrs: attrs(1),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 0, 1, 10}, 1, 4), codes, graph.Floats([]float32{2})},
			Want: []*graph.Tensor{graph.Floats([]float32{2 * (-2 + 10*0.33791524171829224), 2 * 11}, 1, 2)},
			Tol:  1e-6,
		}, {
			Name: "FP4", Attrs: attrs(0),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 1, 0, 10}, 1, 4), codes, graph.Floats([]float32{2})},
			Want: []*graph.Tensor{graph.Floats([]float32{2 * (1 - 10), 2 * (-0.25 - 10*0.25)}, 1, 2)},
			Tol:  1e-6,
		}}
	},
}

// bnb4 holds the numbers that the codes stand for, as published by bitsandbytes.
var bnb4 = [2][16]float32{
	{
		0, 0.005208333333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25,
		0, -0.005208333333, -0.66666667, -1, -0.33333333, -0.5, -0.16666667, -0.25,
	},
	{
		-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
	},
}
