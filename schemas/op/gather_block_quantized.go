package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// GatherBlockQuantized is onnxruntime's Gather from a quantised table.
var GatherBlockQuantized = &Op{
	Domain: Microsoft, Name: "GatherBlockQuantized", Since: 1,
	Doc: "output = Gather((data - zero_points)·scales, indices) along gather_axis, with one scale per block_size indices of quantize_axis. " +
		"data is int4 or uint4 (zero is 0 without zero_points), or uint8 that packs 2, 4 or 8 bits along its last axis, low ones first (zero is 2^(bits-1)); zero_points are stored like data. " +
		"Indices count from the end if negative; one out of range gives zeros, as onnxruntime says. Computed in float32 and rounded once to the type of scales.",
	Inputs: []string{"data", "indices", "scales", "zero_points?"}, Outputs: []string{"output"},
	Attrs: []string{"bits", "block_size", "gather_axis", "quantize_axis"},
	Infer: func(in *Inference) error {
		d := in.Type(2).DType
		in.SetTensor(0, d, nil)
		data, idx := in.Type(0).Shape, in.Type(1).Shape
		if !data.Ranked() || !idx.Ranked() {
			return nil
		}
		axis, err := resolveAxis(in.Node.Int("gather_axis", 0), len(data))
		if err != nil {
			return err
		}
		data = slices.Clone(data)
		if bits := in.Node.Int("bits", 4); in.Type(0).DType == graph.Uint8 && (bits == 2 || bits == 4) {
			data[len(data)-1] = data[len(data)-1].Mul(graph.Const(8 / bits))
		}
		in.SetTensor(0, d, slices.Concat(data[:axis], idx, data[axis+1:]))
		return nil
	},
	Eval:  evalGatherBlockQuantized,
	Reads: pickedReads("gather_axis"),
	Cases: gatherBlockCases,
}

func evalGatherBlockQuantized(c *Call) error {
	data, scales := c.Arg(0), c.Arg(2)
	shape, bits, zero := slices.Clone(data.Shape), int64(4), float32(0)
	switch data.DType {
	case graph.Int4, graph.Uint4:
	case graph.Uint8:
		bits = c.Node.Int("bits", 4)
		if bits != 2 && bits != 4 && bits != 8 {
			return fmt.Errorf("data of %d bits is %w", bits, ErrUnsupported)
		}
		zero = float32(int(1) << (bits - 1))
	default:
		return undefinedFor(data.DType)
	}
	gather, err := resolveAxis(c.Node.Int("gather_axis", 0), len(shape))
	if err != nil {
		return err
	}
	quantize, err := resolveAxis(c.Node.Int("quantize_axis", 1), len(shape))
	if err != nil {
		return err
	}
	last := len(shape) - 1
	if data.DType == graph.Uint8 {
		if bits < 8 && (gather == last || quantize != last) {
			return fmt.Errorf("packed data gathered along axis %d with blocks along axis %d of %d is %w", gather, quantize, len(shape), ErrUnsupported)
		}
		var ok bool
		if shape[last], ok = graph.CheckedMul(shape[last], 8/bits); !ok {
			return inputErrorf("data of shape %v", data.Shape)
		}
	}
	block := c.Node.Int("block_size", 128)
	if block < 1 {
		return inputErrorf("blocks of %d", block)
	}
	grid, err := newScaleGrid(shape, scales.Shape, int64(quantize), block)
	if err != nil {
		return err
	}
	s, err := scales.Float32s()
	if err != nil {
		return err
	}
	value := packedValues(data, int(bits))
	zeros := func(int) float32 { return zero }
	if t := c.Arg(3); t != nil {
		if zeros, err = gatherZeros(t, data.DType, int(bits), scales.Shape); err != nil {
			return err
		}
	}
	return gatherInto(c, shape, gather, scales.DType, func(i int) float32 {
		at := grid.scale(i)
		return (value(i) - zeros(at)) * s[at]
	})
}

// packedValues returns the lookup in numbers of 2, 4 or 8 bits, low ones first.
func packedValues(t *graph.Tensor, bits int) func(i int) float32 {
	per, mask := 8/bits, byte(1<<bits-1)
	if t.DType == graph.Int4 {
		return func(i int) float32 { return float32(int8(t.Data[i/2]>>(i%2*4)<<4) >> 4) }
	}
	return func(i int) float32 { return float32(t.Data[i/per] >> (i % per * bits) & mask) }
}

// gatherZeros returns the lookup in zero points, stored like the data, by the
// index of the scale; those in uint8 start a byte with each row of scales.
func gatherZeros(t *graph.Tensor, d graph.DType, bits int, scales []int64) (func(at int) float32, error) {
	if t.DType != d {
		return nil, inputErrorf("zero points %s for data of %s", t.Type(), d)
	}
	n, err := graph.Elements(scales)
	if err != nil {
		return nil, err
	}
	if d != graph.Uint8 {
		if int64(t.Len()) != n {
			return nil, inputErrorf("zero points of shape %v for scales of shape %v", t.Shape, scales)
		}
		return packedValues(t, bits), nil
	}
	width := int(scales[len(scales)-1])
	lookup, err := packedZeros(t, bits, int(n)/max(width, 1), width)
	if err != nil {
		return nil, err
	}
	return func(at int) float32 { return lookup(at/width, at%width) }, nil
}

// gatherInto gathers slices of a tensor of the given shape, of which value
// returns the elements, along an axis into output 0.
func gatherInto(c *Call, shape []int64, axis int, d graph.DType, value func(i int) float32) error {
	indices := c.Arg(1)
	if indices.DType != graph.Int32 && indices.DType != graph.Int64 {
		return undefinedFor(indices.DType)
	}
	idx, err := indices.Int64s()
	if err != nil {
		return err
	}
	out, err := c.New(0, d, slices.Concat(shape[:axis], indices.Shape, shape[axis+1:])...)
	if err != nil {
		return err
	}
	y := accumulator[float32](out)
	if len(y) == 0 {
		return nil
	}
	n := shape[axis]
	inner := 1
	for _, d := range shape[axis+1:] {
		inner *= int(d)
	}
	for at := 0; at < len(y); at += inner {
		slice := at / inner
		i := idx[slice%len(idx)]
		if i < 0 {
			i += n
		}
		if i < 0 || i >= n {
			continue
		}
		from := (slice/len(idx)*int(n) + int(i)) * inner
		for j := range inner {
			y[at+j] = value(from + j)
		}
	}
	return finish(out, y)
}

func gatherBlockCases() []Case {
	attrs := func(more ...graph.Attr) []graph.Attr {
		return append([]graph.Attr{{Name: "block_size", Value: int64(16)}, {Name: "gather_axis", Value: int64(0)}, {Name: "quantize_axis", Value: int64(1)}}, more...)
	}
	bytes := func(v ...byte) []byte { return append(v, make([]byte, 8-len(v))...) }
	two := slices.Concat(bytes(0x21), bytes(0xf8, 0x07)) // rows 1 2 0… and 8 15 7 0…
	want := func(v ...float32) []float32 { return append(v, make([]float32, 16-len(v))...) }
	scales := graph.Floats([]float32{1, 10}, 2, 1)
	eights := func(v ...float32) []float32 {
		row := want(v...)
		fill(row[len(v):], -80)
		return row
	}
	return []Case{{
		Name: "int4", Attrs: attrs(),
		In:   []*graph.Tensor{{DType: graph.Int4, Shape: []int64{2, 16}, Data: two}, graph.Ints([]int64{1, -2}), scales},
		Want: []*graph.Tensor{graph.Floats(slices.Concat(want(-80, -10, 70), want(1, 2)), 2, 16)},
	}, {
		Name: "uint4 with zero points, index out of range", Attrs: attrs(),
		In: []*graph.Tensor{
			{DType: graph.Uint4, Shape: []int64{2, 16}, Data: two}, graph.FromSlice(graph.Int32, []int32{0, 2}, 2, 1), scales, {DType: graph.Uint4, Shape: []int64{2, 1}, Data: []byte{0x80}},
		},
		Want: []*graph.Tensor{graph.Floats(slices.Concat(want(1, 2), want()), 2, 1, 16)},
	}, {
		Name: "uint8 that packs 4 bits", Attrs: attrs(graph.Attr{Name: "bits", Value: int64(4)}),
		In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, two, 2, 8), graph.Ints([]int64{1}, 1).Reshape(), scales},
		Want: []*graph.Tensor{graph.Floats(eights(0, 70, -10), 16)},
	}, {
		Name: "uint8 of 8 bits with zero points, no indices", Attrs: attrs(graph.Attr{Name: "bits", Value: int64(8)}),
		In: []*graph.Tensor{
			graph.FromSlice(graph.Uint8, two, 1, 16), graph.Ints(nil, 0), graph.Floats([]float32{1}, 1, 1), graph.FromSlice(graph.Uint8, []uint8{3}, 1, 1),
		},
		Want: []*graph.Tensor{graph.Floats(nil, 0, 16)},
	}}
}
