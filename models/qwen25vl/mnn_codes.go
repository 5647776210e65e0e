package qwen25vl

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/onnx"
)

// mnnCodes is a table of embeddings in embeddings_int8.bin or embeddings_int4.bin, as
// MNN's llmexport --embed_bit writes it: number q of a block stands for (q - 2^(bits-1))·scale,
// or, where blocks have a zero too, for zero + (q - 2^(bits-1))·scale.
type mnnCodes struct {
	bits   int64
	codes  *graph.Tensor // uint8 [vocabulary, width·bits/8]; of two codes of a byte the first is the high one
	alpha  *graph.Tensor // [vocabulary, blocks, 1 or 2]: zero, if there is one, and scale
	width  int64
	blocks int64 // of a row
}

// mnnCodesBeside maps the table that llm_config.json describes under tie_embeddings: an
// object, or, by older exporters, a list. nil: it describes none.
func (f *folder) mnnCodesBeside(width int64) (*mnnCodes, error) {
	config := filepath.Join(f.dir, "llm_config.json")
	m, err := readJSON(config)
	if errors.Is(err, fs.ErrNotExist) { // other settings stand for it, which know of no codes
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var offset, alphaAt, alphaSize, bits, block int64
	half := false
	switch e := m["tie_embeddings"].(type) {
	case nil:
		return nil, nil
	case map[string]any:
		offset, alphaAt, alphaSize, bits, block = whole(e["weight_offset"]), whole(e["alpha_offset"]), whole(e["alpha_size"]), whole(e["quant_bit"]), whole(e["quant_block"])
		half = e["alpha_dtype"] == "fp16"
	case []any:
		if len(e) < 5 {
			return nil, fmt.Errorf("%s: %w: tie_embeddings has %d numbers, expected offset, bytes of codes, bytes of scales, bits and block", config, ErrConfig, len(e))
		}
		offset, alphaAt, alphaSize, bits, block = whole(e[0]), whole(e[1]), whole(e[2]), whole(e[3]), whole(e[4])
	default:
		return nil, fmt.Errorf("%s: %w: tie_embeddings is %.40s, expected an object or a list", config, ErrConfig, found(e))
	}
	if offset != 0 || bits != 4 && bits != 8 {
		return nil, fmt.Errorf("%s: %w: tie_embeddings puts embeddings of %d bits at byte %d of the weights; export with --export onnx and --embed_bit 16, 8 or 4", config, ErrConfig, bits, offset)
	}
	name := fmt.Sprintf("embeddings_int%d.bin", bits)
	path := filepath.Join(f.dir, name)
	b, unmap, err := onnx.MapFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (%s says that it holds the token embeddings)", err, config)
	}
	f.unmap = append(f.unmap, unmap)
	if block == 0 {
		block = width
	}
	for block > 0 && width%block != 0 { // as the exporter does
		block /= 2
	}
	size, rowBytes := int64(len(b)), width*bits/8
	if alphaAt < 1 || alphaSize < 1 || alphaAt > size || alphaSize > size-alphaAt || width*bits%8 != 0 || alphaAt%rowBytes != 0 || block < 1 {
		return nil, fmt.Errorf("%s: %w: %d bytes, where %s says %d of codes in rows of %d and %d of scales in blocks of %d", path, ErrConfig, size, config, alphaAt, rowBytes, alphaSize, block)
	}
	t := &mnnCodes{bits: bits, width: width, blocks: width / block}
	rows, dtype := alphaAt/rowBytes, graph.Float32
	if half {
		dtype = graph.Float16
	}
	each := int64(dtype.Bits() / 8)
	parts := alphaSize / each / t.blocks / rows
	if parts != 1 && parts != 2 || parts*rows*t.blocks*each != alphaSize {
		return nil, fmt.Errorf("%s: %w: %d bytes of scales are not one or two numbers for each of %d blocks of %d rows", path, ErrConfig, alphaSize, t.blocks, rows)
	}
	t.codes = &graph.Tensor{DType: graph.Uint8, Shape: []int64{rows, rowBytes}, Data: b[:alphaAt], Source: &graph.Range{File: name, Length: alphaAt}}
	t.alpha = &graph.Tensor{DType: dtype, Shape: []int64{rows, t.blocks, parts}, Data: b[alphaAt:][:alphaSize], Source: &graph.Range{File: name, Offset: alphaAt, Length: alphaSize}}
	return t, nil
}

// whole is a whole number of JSON that counts something; -1: it is none.
func whole(v any) int64 {
	x, ok := v.(float64)
	if !ok || x < 0 || x > 1<<53 || x != math.Trunc(x) {
		return -1
	}
	return int64(x)
}

// lookup adds the lookup of rows and what they stand for, float32 [batch, tokens, width].
// Zeros are numbers between codes, which no operator for quantised tables takes: so
// it is written out, for the rows that are looked up.
func (t *mnnCodes) lookup(g *graph.Graph, ids *graph.Value) *graph.Value {
	node := func(op, name string, ins []*graph.Value, attrs ...graph.Attr) *graph.Value {
		n := g.NewNode("", op, passes.Opset, ins, "embed."+name)
		n.Path, n.Attrs = "embed.tokens", attrs
		g.Append(n)
		return n.Outputs[0]
	}
	constant := func(name string, x *graph.Tensor) *graph.Value { return g.NewConst("embed."+name, x) }
	of := func(v ...*graph.Value) []*graph.Value { return v }
	to := graph.Attr{Name: "to", Value: int64(graph.Float32)}
	last := graph.Attr{Name: "axis", Value: int64(-1)}

	q := node("Gather", "rows", of(constant("codes", t.codes), ids))
	if t.bits == 4 {
		number := func(v uint8) *graph.Tensor { return graph.FromSlice(graph.Uint8, []uint8{v}, []int64{}...) }
		axis := constant("pair", graph.Ints([]int64{-1}))
		high := node("BitShift", "high", of(q, constant("nibble", number(4))), graph.Attr{Name: "direction", Value: "RIGHT"})
		low := node("BitwiseAnd", "low", of(q, constant("mask", number(15))))
		q = node("Concat", "pairs", of(node("Unsqueeze", "highs", of(high, axis)), node("Unsqueeze", "lows", of(low, axis))), last)
	}
	q = node("Reshape", "blocks", of(node("Cast", "numbers", of(q), to), constant("cut", graph.Ints([]int64{0, 0, t.blocks, t.width / t.blocks}))))
	q = node("Sub", "centred", of(q, constant("middle", graph.FromSlice(graph.Float32, []float32{float32(int(1) << (t.bits - 1))}, []int64{}...))))
	alpha := node("Gather", "alpha", of(constant("scales", t.alpha), ids))
	if t.alpha.DType != graph.Float32 {
		alpha = node("Cast", "alpha.wide", of(alpha), to)
	}
	pick := func(i int64) *graph.Value {
		return node("Gather", fmt.Sprintf("alpha.%d", i), of(alpha, constant(fmt.Sprintf("place.%d", i), graph.Ints([]int64{i}))), last)
	}
	if t.alpha.Shape[2] == 1 {
		q = node("Mul", "scaled", of(q, alpha))
	} else {
		q = node("Add", "shifted", of(node("Mul", "scaled", of(q, pick(1))), pick(0)))
	}
	return node("Reshape", "float", of(q, constant("joined", graph.Ints([]int64{0, 0, t.width}))))
}
