package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
)

// families are the dtypes with the field that holds their elements and three
// elements, or three bytes of packed ones, in it and as raw bytes.
var families = []struct {
	dtype graph.DType
	field protowire.Number
	typed []byte
	raw   []byte
}{
	{graph.Float32, tensorFloatData, floats32(1, -2, 0.5), floats32(1, -2, 0.5)},
	{graph.Complex64, tensorFloatData, floats32(1, 2, 3, 4, 5, 6), floats32(1, 2, 3, 4, 5, 6)},
	{graph.Float64, tensorDoubleData, floats64(1, -2, 0.5), floats64(1, -2, 0.5)},
	{graph.Complex128, tensorDoubleData, floats64(1, 2, 3, 4, 5, 6), floats64(1, 2, 3, 4, 5, 6)},
	{graph.Int64, tensorInt64Data, varints(1, -2, math.MaxInt64), ints(8, 1, -2, math.MaxInt64)},
	{graph.Uint64, tensorUint64Data, varints(1, 2, -1), ints(8, 1, 2, -1)},
	{graph.Uint32, tensorUint64Data, varints(1, 2, math.MaxUint32), ints(4, 1, 2, math.MaxUint32)},
	{graph.Int32, tensorInt32Data, varints(1, -2, math.MaxInt32), ints(4, 1, -2, math.MaxInt32)},
	{graph.Int16, tensorInt32Data, varints(1, -2, math.MaxInt16), ints(2, 1, -2, math.MaxInt16)},
	{graph.Int8, tensorInt32Data, varints(1, -2, math.MaxInt8), ints(1, 1, -2, math.MaxInt8)},
	{graph.Uint16, tensorInt32Data, varints(1, 2, math.MaxUint16), ints(2, 1, 2, math.MaxUint16)},
	{graph.Uint8, tensorInt32Data, varints(1, 2, 255), ints(1, 1, 2, 255)},
	{graph.Bool, tensorInt32Data, varints(1, 0, 1), ints(1, 1, 0, 1)},
	{graph.Float16, tensorInt32Data, varints(0x3c00, 0xc000, 0xffff), ints(2, 0x3c00, 0xc000, 0xffff)},
	{graph.BFloat16, tensorInt32Data, varints(0x3f80, 0xc000, 0xffff), ints(2, 0x3f80, 0xc000, 0xffff)},
	{graph.Float8E4M3FN, tensorInt32Data, varints(1, 2, 255), ints(1, 1, 2, 255)},
	{graph.Float8E4M3UZ, tensorInt32Data, varints(1, 2, 255), ints(1, 1, 2, 255)},
	{graph.Float8E5M2, tensorInt32Data, varints(1, 2, 255), ints(1, 1, 2, 255)},
	{graph.Float8E5M2UZ, tensorInt32Data, varints(1, 2, 255), ints(1, 1, 2, 255)},
	{graph.Float8E8M0, tensorInt32Data, varints(1, 2, 255), ints(1, 1, 2, 255)},
	{graph.Uint4, tensorInt32Data, varints(0x21, 0xf0, 0x0f), ints(1, 0x21, 0xf0, 0x0f)},
	{graph.Int4, tensorInt32Data, varints(0x21, -16, 0x0f), ints(1, 0x21, 0xf0, 0x0f)},
	{graph.Float4E2M1, tensorInt32Data, varints(0x21, 0xf0, 0x0f), ints(1, 0x21, 0xf0, 0x0f)},
	{graph.Uint2, tensorInt32Data, varints(0x21, 0xf0, 0x0f), ints(1, 0x21, 0xf0, 0x0f)},
	{graph.Int2, tensorInt32Data, varints(0x21, 0xf0, 0x0f), ints(1, 0x21, 0xf0, 0x0f)},
}

func floats32(v ...float32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func floats64(v ...float64) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func varints(v ...int64) (b []byte) {
	for _, x := range v {
		b = protowire.AppendVarint(b, uint64(x))
	}
	return b
}

// ints stores numbers as width bytes each.
func ints(width int, v ...int64) (b []byte) {
	for _, x := range v {
		b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(x))[:width]...)
	}
	return b
}

// elementsOf returns how many elements three of families' units are.
func elementsOf(d graph.DType) int64 { return int64(3 * max(8/max(d.Bits(), 1), 1)) }

// TestTensorForms decodes every dtype from every form (fault F16's legal half).
func TestTensorForms(t *testing.T) {
	for _, f := range families {
		t.Run(f.dtype.String(), func(t *testing.T) {
			n := elementsOf(f.dtype)
			unpacked := func(p *pieces) { // one field an element
				for b := f.typed; len(b) > 0; {
					typ := map[protowire.Number]protowire.Type{tensorFloatData: protowire.Fixed32Type, tensorDoubleData: protowire.Fixed64Type}[f.field]
					k := protowire.ConsumeFieldValue(f.field, typ, b)
					p.add(protowire.AppendTag(nil, f.field, typ))
					p.add(b[:k])
					b = b[k:]
				}
			}
			forms := map[string]func(*pieces){"raw": data(tensorRawData, f.raw...), "packed": data(f.field, f.typed...), "unpacked": unpacked}
			if f.dtype.Bits() < 8 { // an odd count leaves part of the last byte unused
				forms["odd"] = func(p *pieces) { p.varint(tensorDims, 1); data(tensorRawData, f.raw...)(p) }
			}
			for name, form := range forms {
				dims := []int64{n}
				if name == "odd" {
					dims = []int64{n - 1}
				}
				got, err := UnmarshalTensor(tensorProto("w", int64(f.dtype), dims, form))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if got.DType != f.dtype || !bytes.Equal(got.Data, f.raw) {
					t.Errorf("%s: %s % x, want % x", name, got.DType, got.Data, f.raw)
				}
				b, err := marshalTensor(got)
				if err != nil {
					t.Fatal(err)
				}
				again, err := UnmarshalTensor(b)
				if err != nil {
					t.Fatal(err)
				}
				if s := differTensors(got, again); s != "" {
					t.Errorf("%s, written and read: %s", name, s)
				}
			}
		})
	}
	got, err := UnmarshalTensor(tensorProto("s", 8, []int64{2}, data(tensorStringData, 'a'), data(tensorStringData)))
	if err != nil || len(got.Strings) != 2 || got.Strings[0] != "a" || got.Strings[1] != "" {
		t.Errorf("strings %v, %v", got, err)
	}
}

// TestTensorMismatch gives too little, too much, the wrong field, and two forms
// at once, for every dtype (fault F16).
func TestTensorMismatch(t *testing.T) {
	for _, f := range families {
		n := elementsOf(f.dtype)
		other := protowire.Number(tensorFloatData)
		if f.field == other {
			other = tensorInt32Data
		}
		for name, form := range map[string][]func(*pieces){
			"raw too short":      {data(tensorRawData, f.raw[:len(f.raw)-1]...)},
			"raw too long":       {data(tensorRawData, append(f.raw[:len(f.raw):len(f.raw)], 0)...)},
			"typed too short":    {data(f.field, f.typed[:max(0, len(f.typed)-8)]...)},
			"typed too long":     {data(f.field, append(f.typed[:len(f.typed):len(f.typed)], f.typed...)...)},
			"wrong field":        {data(other, 0, 0, 0, 0)},
			"raw and typed":      {data(tensorRawData, f.raw...), data(f.field, f.typed...)},
			"raw twice":          {data(tensorRawData, f.raw...), data(tensorRawData, f.raw...)},
			"raw and external":   {data(tensorRawData, f.raw...), external("location", "w")},
			"typed and external": {data(f.field, f.typed...), external("location", "w")},
			"no data":            nil,
		} {
			_, err := UnmarshalTensor(tensorProto("w", int64(f.dtype), []int64{n}, form...))
			if err == nil {
				t.Errorf("%s, %s: loads", f.dtype, name)
				continue
			}
			refuses(t, err, ErrMalformed, `tensor "w"`)
		}
	}
}

func TestTensorErrors(t *testing.T) {
	var rank65 []int64
	for range 65 {
		rank65 = append(rank65, 1)
	}
	raw := func(n int) func(*pieces) { return data(tensorRawData, make([]byte, n)...) }
	dims := func(b ...byte) func(*pieces) { return data(tensorDims, b...) }
	for _, c := range []struct {
		name string
		b    []byte
		kind error
		want string
	}{
		{"negative dim", tensorProto("w", 1, []int64{2, -1}, raw(8)), ErrMalformed, "negative extent"},
		{"large dim", tensorProto("w", 1, []int64{1<<63 - 1}, raw(8)), ErrMalformed, "64 bits"},
		{"(2^63-1)*2", tensorProto("w", 3, []int64{1<<63 - 1, 2}, raw(8)), ErrMalformed, "64 bits"},
		{"product wraps to 4", tensorProto("w", 1, []int64{1 << 32, 1 << 32, 4}, raw(16)), ErrMalformed, "64 bits"},
		{"product wraps to 0", tensorProto("w", 2, []int64{1 << 32, 1 << 32}, nil2()), ErrMalformed, "64 bits"},
		{"bytes wrap", tensorProto("w", 11, []int64{1 << 61}, raw(8)), ErrMalformed, "64 bits"},
		{"rank 65", tensorProto("w", 1, rank65, raw(4)), ErrLimit, "more than 64 dims"},
		{"rank 10^6", append(tensorProto("w", 1, nil, raw(4)), wrap(tensorDims, make([]byte, 1_000_000))...), ErrLimit, "more than 64 dims"},
		{"dims cut", append(tensorProto("w", 1, nil, raw(4)), wrap(tensorDims, []byte{0x80})...), ErrMalformed, "dims"},
		{"no dtype", tensorProto("w", 0, []int64{1}, raw(4)), ErrMalformed, "no data type"},
		{"dtype 27", tensorProto("w", 27, []int64{1}, raw(1)), ErrUnsupported, "float6e2m3"},
		{"dtype 1000", tensorProto("w", 1000, []int64{1}, raw(1)), ErrUnsupported, "dtype 1000"},
		{"dtype -1", tensorProto("w", -1, []int64{1}, raw(1)), ErrUnsupported, "dtype -1"},
		{"segment", append(tensorProto("w", 1, []int64{1}, raw(4)), wrap(tensorSegment, nil)...), ErrUnsupported, "segment"},
		{"int8 300", tensorProto("w", 3, []int64{1}, data(tensorInt32Data, varints(300)...)), ErrMalformed, "300 does not fit in int8"},
		{"uint8 -1", tensorProto("w", 2, []int64{1}, data(tensorInt32Data, varints(-1)...)), ErrMalformed, "-1 does not fit in uint8"},
		{"bool 2", tensorProto("w", 9, []int64{1}, data(tensorInt32Data, 2)), ErrMalformed, "2 does not fit in bool"},
		{"uint32 2^32", tensorProto("w", 12, []int64{1}, data(tensorUint64Data, varints(1<<32)...)), ErrMalformed, "does not fit in uint32"},
		{"int64 cut", tensorProto("w", 7, []int64{1}, data(tensorInt64Data, 1, 0x80)), ErrMalformed, "int64_data"},
		{"floats of 3 bytes", tensorProto("w", 1, []int64{1}, data(tensorFloatData, 1, 2, 3)), ErrMalformed, "4-byte numbers"},
		{"raw strings", tensorProto("w", 8, []int64{1}, raw(1)), ErrMalformed, "string_data"},
		{"too few strings", tensorProto("w", 8, []int64{2}, data(tensorStringData, 'a')), ErrMalformed, "needs 2 elements"},
		{"external from bytes", tensorProto("w", 1, []int64{1}, external("location", "w.bin")), ErrMalformed, "refused by containment"},
		{"location 2", append(tensorProto("w", 1, []int64{1}, raw(4)), byte(tensorLocation<<3), 2), ErrMalformed, "data_location is 2"},
		{"raw_data is a varint", append(tensorProto("w", 1, []int64{1}), byte(tensorRawData<<3), 2), ErrMalformed, "wire type 0"},
		{"dims of floats", append(tensorProto("w", 1, nil), byte(tensorDims<<3|5), 0, 0, 0, 0), ErrMalformed, "wire type 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := UnmarshalTensor(c.b)
			refuses(t, err, c.kind, c.want)
		})
	}
	got, err := UnmarshalTensor(tensorProto("w", 1, nil, dims(2, 1), raw(8)))
	if err != nil || fmt.Sprint(got.Shape) != "[2 1]" {
		t.Errorf("packed dims: %v, %v", got, err)
	}
}

func nil2() func(*pieces) { return func(*pieces) {} }

// TestNoElements loads tensors without elements and without extents (fault
// F15), with and without a data field.
func TestNoElements(t *testing.T) {
	for _, f := range families {
		for _, dims := range [][]int64{{0}, {0, 3}, {1 << 40, 0}} {
			for _, form := range []func(*pieces){nil2(), data(tensorRawData), data(f.field)} {
				got, err := UnmarshalTensor(tensorProto("w", int64(f.dtype), dims, form))
				if err != nil {
					t.Errorf("%s%v: %v", f.dtype, dims, err)
				} else if got.Len() != 0 || len(got.Data) != 0 || len(got.Shape) != len(dims) {
					t.Errorf("%s%v: %+v", f.dtype, dims, got)
				}
			}
		}
	}
	got, err := UnmarshalTensor(tensorProto("w", 7, nil, data(tensorInt64Data, 5)))
	if err != nil || got.Shape == nil || len(got.Shape) != 0 || got.Len() != 1 {
		t.Errorf("scalar: %+v, %v", got, err)
	}
}

// TestFloatRange keeps one packed run of floats in the file.
func TestFloatRange(t *testing.T) {
	b := tensorProto("w", 1, []int64{2}, data(tensorFloatData, floats32(1, 2)...))
	d := newDecoder("m.onnx", int64(len(b)), Options{}.withDefaults())
	_, got, err := d.tensor(span{b: b})
	if err != nil {
		t.Fatal(err)
	}
	if got.Source == nil || &b[got.Source.Offset] != &got.Data[0] || got.Source.Length != 8 {
		t.Errorf("source %+v", got.Source)
	}
}
