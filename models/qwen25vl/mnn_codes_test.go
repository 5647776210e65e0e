package qwen25vl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// floatBytes are the bytes of numbers in a file.
func floatBytes(v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// TestMNNCodes looks rows up in tables as the exporter lays them out.
func TestMNNCodes(t *testing.T) {
	for _, c := range []struct {
		name, config string
		file         string
		content      []byte
		want         []float32 // rows 1, 0
	}{
		{"8 bits, symmetric, a row a block", `{"weight_offset": 0, "alpha_offset": 8, "alpha_size": 8, "quant_bit": 8, "quant_block": 0, "alpha_dtype": "fp32"}`, "embeddings_int8.bin",
			append([]byte{128, 129, 127, 0, 255, 1, 128, 130}, floatBytes(0.5, 2)...), []float32{254, -254, 0, 4, 0, 0.5, -0.5, -64}},
		{"8 bits with zeros, in blocks", `{"weight_offset": 0, "alpha_offset": 8, "alpha_size": 32, "quant_bit": 8, "quant_block": 2, "alpha_dtype": "fp32"}`, "embeddings_int8.bin",
			append([]byte{128, 129, 127, 0, 255, 1, 128, 130}, floatBytes(10, 0.5, 20, 1, 30, 2, 40, 4)...), []float32{284, -224, 40, 48, 10, 10.5, 19, -108}},
		{"4 bits, symmetric, of an older exporter", `[0, 4, 8, 4, 4]`, "embeddings_int4.bin",
			append([]byte{0x89, 0x7f, 0x01, 0x23}, floatBytes(0.5, 2)...), []float32{-16, -14, -12, -10, 0, 0.5, -0.5, 3.5}},
		{"4 bits with zeros", `{"weight_offset": 0, "alpha_offset": 4, "alpha_size": 32, "quant_bit": 4, "quant_block": 2, "alpha_dtype": "fp32"}`, "embeddings_int4.bin",
			append([]byte{0x89, 0x7f, 0x01, 0x23}, floatBytes(10, 0.5, 20, 1, 30, 2, 40, 4)...), []float32{14, 16, 16, 20, 10, 10.5, 19, 27}},
		{"scales of float16", `{"weight_offset": 0, "alpha_offset": 8, "alpha_size": 4, "quant_bit": 8, "quant_block": 4, "alpha_dtype": "fp16"}`, "embeddings_int8.bin",
			[]byte{128, 129, 127, 0, 255, 1, 128, 130, 0x00, 0x38, 0x00, 0x40}, []float32{254, -254, 0, 4, 0, 0.5, -0.5, -64}},
		{"blocks that do not divide a row are halved", `[0, 8, 16, 8, 16]`, "embeddings_int8.bin",
			append([]byte{128, 129, 127, 0, 255, 1, 128, 130}, floatBytes(30, 2, 40, 4)...), []float32{548, -468, 40, 48, 30, 32, 28, -226}},
	} {
		f := &folder{dir: write(t, map[string]string{"llm_config.json": `{"tie_embeddings": ` + c.config + `}`, c.file: string(c.content)})}
		codes, err := f.mnnCodesBeside(4)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		g := graph.New("lookup")
		ids := g.NewInput("ids", graph.TensorOf(graph.Int64, graph.Const(1), graph.Const(2)))
		g.Outputs = []*graph.Value{codes.lookup(g, ids)}
		if _, err := passes.Infer(g, op.All()); err != nil {
			t.Fatal(err)
		}
		if err := graph.Verify(g); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := g.Outputs[0].Type.String(); got != "float32[1, 2, 4]" {
			t.Errorf("%s: rows are %s", c.name, got)
		}
		out, err := op.All().Run(t.Context(), g, []*graph.Tensor{graph.Ints([]int64{1, 0}, 1, 2)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := out[0].Float32s(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for _, unmap := range f.unmap {
			if err := unmap(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestMNNCodesRefused names what does not fit.
func TestMNNCodesRefused(t *testing.T) {
	const table = "embeddings_int8.bin"
	object := func(offset, at, size, bits, block any) string {
		return fmt.Sprintf(`{"weight_offset": %v, "alpha_offset": %v, "alpha_size": %v, "quant_bit": %v, "quant_block": %v}`, offset, at, size, bits, block)
	}
	for _, c := range []struct {
		name, config string
		err          error
		want         string
	}{
		{"a part of the weights' file", object(4096, 8, 8, 8, 4), ErrConfig, "embeddings of 8 bits at byte 4096"},
		{"3 bits", object(0, 8, 8, 3, 4), ErrConfig, "embeddings of 3 bits"},
		{"no file", object(0, 8, 8, 4, 4), fs.ErrNotExist, "says that it holds the token embeddings"},
		{"a part of a row", object(0, 7, 8, 8, 4), ErrConfig, table},
		{"scales beyond the end", object(0, 8, 9, 8, 4), ErrConfig, "16 bytes, where"},
		{"scales that end nowhere", object(0, 8, "1e300", 8, 4), ErrConfig, table},
		{"codes without end", object(0, "9007199254740992", 8, 8, 4), ErrConfig, table},
		{"three numbers a block", object(0, 4, 12, 8, 4), ErrConfig, "not one or two numbers"},
		{"half a block", object(0, 8, 8, 8, 0.5), ErrConfig, table},
		{"a list that is cut short", `[0, 8]`, ErrConfig, "2 numbers"},
		{"text", `"yes"`, ErrConfig, "expected an object or a list"},
	} {
		f := &folder{dir: write(t, map[string]string{"llm_config.json": `{"tie_embeddings": ` + c.config + `}`, table: strings.Repeat("\x00", 16)})}
		if _, err := f.mnnCodesBeside(4); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.err, c.want)
		}
		for _, unmap := range f.unmap {
			if err := unmap(); err != nil {
				t.Error(err)
			}
		}
	}
}
