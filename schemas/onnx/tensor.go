package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
)

// Field numbers of TensorProto.
const (
	tensorDims         = 1
	tensorDataType     = 2
	tensorSegment      = 3
	tensorFloatData    = 4
	tensorInt32Data    = 5
	tensorStringData   = 6
	tensorInt64Data    = 7
	tensorName         = 8
	tensorRawData      = 9
	tensorDoubleData   = 10
	tensorUint64Data   = 11
	tensorExternalData = 13
	tensorLocation     = 14
)

// typedField returns the field that holds elements of a dtype when they are
// not raw, and its name.
func typedField(t graph.DType) (protowire.Number, string) {
	switch t {
	case graph.Float32, graph.Complex64:
		return tensorFloatData, "float_data"
	case graph.Float64, graph.Complex128:
		return tensorDoubleData, "double_data"
	case graph.Int64:
		return tensorInt64Data, "int64_data"
	case graph.Uint32, graph.Uint64:
		return tensorUint64Data, "uint64_data"
	case graph.String:
		return tensorStringData, "string_data"
	}
	return tensorInt32Data, "int32_data"
}

// tensorFields are the fields of one TensorProto, found but not decoded.
type tensorFields struct {
	at       int
	name     string
	dims     []int64
	dtype    int64
	typed    map[protowire.Number][]field // non-empty typed data by field
	raw      *span
	location int64
	external []span
}

// tensor decodes one TensorProto and returns the name in it.
func (d *decoder) tensor(s span) (string, *graph.Tensor, error) {
	if err := d.one("tensors", &d.tensors, d.o.MaxTensors, 256); err != nil {
		return "", nil, err
	}
	p, err := d.tensorFields(s)
	if err != nil {
		return "", nil, err
	}
	t, err := d.tensorData(p)
	if err != nil {
		return "", nil, within(err, "byte %d: tensor %s", s.at, quote(p.name))
	}
	return p.name, t, nil
}

func (d *decoder) tensorFields(s span) (*tensorFields, error) {
	p := &tensorFields{at: s.at}
	for rest := s; len(rest.b) > 0; {
		f, after, err := rest.next("TensorProto")
		if err != nil {
			return nil, err
		}
		rest = after
		want := protowire.BytesType
		switch f.num {
		case tensorDims:
			if err := p.addDims(f, d.o.MaxRank); err != nil {
				return nil, err
			}
			continue
		case tensorDataType:
			p.dtype, want = int64(f.num64), protowire.VarintType
		case tensorLocation:
			p.location, want = int64(f.num64), protowire.VarintType
		case tensorSegment:
			return nil, unsupported("byte %d: tensor %s is one segment of a larger one", f.tag, quote(p.name))
		case tensorFloatData, tensorDoubleData, tensorInt32Data, tensorInt64Data, tensorUint64Data, tensorStringData:
			if len(f.b) == 0 && f.num != tensorStringData {
				continue
			}
			if err := d.take(2 * 96); err != nil {
				return nil, err
			}
			if p.typed == nil {
				p.typed = map[protowire.Number][]field{}
			}
			p.typed[f.num] = append(p.typed[f.num], f)
			continue
		case tensorName:
			p.name = string(f.b[:min(len(f.b), d.o.MaxName+1)])
			if err := d.name(p.name); err != nil {
				return nil, err
			}
		case tensorRawData:
			if p.raw != nil {
				return nil, malformed("byte %d: tensor %s: raw_data given twice", f.tag, quote(p.name))
			}
			p.raw = &f.span
			if !d.inlining {
				d.part -= int64(len(f.b))
			}
		case tensorExternalData:
			if err := d.take(2 * spanSize); err != nil {
				return nil, err
			}
			p.external = append(p.external, f.span)
		default:
			continue
		}
		if f.typ != want {
			return nil, malformed("byte %d: TensorProto, field %d has wire type %d", f.tag, f.num, f.typ)
		}
	}
	return p, nil
}

func (p *tensorFields) addDims(f field, maxRank int) error {
	add := func(n uint64) error {
		if len(p.dims) >= maxRank {
			return limited("byte %d: tensor %s has more than %d dims", f.tag, quote(p.name), maxRank)
		}
		p.dims = append(p.dims, int64(n))
		return nil
	}
	switch f.typ {
	case protowire.VarintType:
		return add(f.num64)
	case protowire.BytesType:
		for b := f.b; len(b) > 0; {
			n, k := protowire.ConsumeVarint(b)
			if k < 0 {
				return malformed("byte %d: TensorProto.dims: %w", f.at+len(f.b)-len(b), protowire.ParseError(k))
			}
			if err := add(n); err != nil {
				return err
			}
			b = b[k:]
		}
		return nil
	}
	return malformed("byte %d: TensorProto.dims has wire type %d", f.tag, f.typ)
}

func (d *decoder) tensorData(p *tensorFields) (*graph.Tensor, error) {
	dtype, err := dtypeOf(p.dtype)
	if err != nil {
		return nil, err
	}
	if dtype == graph.Undefined {
		return nil, malformed("has no data type")
	}
	elements, err := graph.Elements(p.dims)
	if err != nil {
		return nil, malformed("%w", err)
	}
	size, ok := dtype.Bytes(elements)
	if !ok {
		return nil, malformed("shape %v of %s has more bytes than fit in 64 bits", p.dims, dtype)
	}
	t := &graph.Tensor{DType: dtype, Shape: p.dims}
	if t.Shape == nil {
		t.Shape = []int64{}
	}
	wantField, wantName := typedField(dtype)
	typed := p.typed[wantField]
	for num := range p.typed {
		if num != wantField {
			return nil, malformed("%s%v holds data in field %d, its dtype needs %s (field %d) or raw_data", dtype, p.dims, num, wantName, wantField)
		}
	}
	forms := 0
	for _, set := range []bool{p.raw != nil, typed != nil, p.location == 1 || p.external != nil} {
		if set {
			forms++
		}
	}
	switch {
	case forms > 1:
		return nil, malformed("%s%v holds its data more than once: only one of raw_data, %s and external_data may be set", dtype, p.dims, wantName)
	case p.location != 0 && p.location != 1:
		return nil, malformed("data_location is %d, must be 0 (default) or 1 (external)", p.location)
	case forms == 0 && elements != 0:
		return nil, malformed("%s%v has no data", dtype, p.dims)
	case dtype == graph.String && (p.raw != nil || p.external != nil || p.location == 1):
		return nil, malformed("a string tensor must hold its elements in string_data")
	case dtype == graph.String:
		return t, d.stringData(t, typed, elements)
	case p.location == 1:
		return t, d.externalData(t, p.external, size)
	case p.external != nil:
		return nil, malformed("has external_data, but data_location does not say EXTERNAL")
	case p.raw != nil:
		if int64(len(p.raw.b)) != size {
			return nil, malformed("%s%v needs %d bytes, raw_data has %d", dtype, p.dims, size, len(p.raw.b))
		}
		t.Data = p.raw.b
		t.Source = &graph.Range{File: d.file, Offset: int64(p.raw.at), Length: size}
		return t, nil
	}
	return t, d.typedData(t, typed, wantName, size)
}

func (d *decoder) stringData(t *graph.Tensor, typed []field, elements int64) error {
	if int64(len(typed)) != elements {
		return malformed("string%v needs %d elements, string_data has %d", t.Shape, elements, len(typed))
	}
	t.Strings = make([]string, len(typed))
	for i, f := range typed {
		if f.typ != protowire.BytesType {
			return malformed("string_data has wire type %d", f.typ)
		}
		if err := d.take(int64(len(f.b))); err != nil {
			return err
		}
		t.Strings[i] = string(f.b)
	}
	return nil
}

// typedData decodes float_data, int32_data and so on into little-endian
// elements of the tensor's dtype. One packed run of floats stays a file range.
func (d *decoder) typedData(t *graph.Tensor, typed []field, name string, size int64) error {
	width := 0 // bytes of an element of the field; 0: varints
	switch name {
	case "float_data":
		width = 4
	case "double_data":
		width = 8
	}
	if width != 0 {
		return d.floatData(t, typed, name, width, size)
	}
	unit := max(t.DType.Bits()/8, 1) // bytes that one varint becomes; packed dtypes hold a byte in each
	var have int64
	for _, f := range typed {
		switch f.typ {
		case protowire.VarintType:
			have++
		case protowire.BytesType:
			for _, c := range f.b {
				if c < 0x80 {
					have++
				}
			}
		default:
			return malformed("%s has wire type %d", name, f.typ)
		}
	}
	if want := size / int64(unit); have != want {
		return malformed("%s%v needs %d elements, %s has %d", t.DType, t.Shape, want, name, have)
	}
	if err := d.take(size); err != nil {
		return err
	}
	out := make([]byte, 0, size)
	for _, f := range typed {
		if f.typ == protowire.VarintType {
			var err error
			if out, err = appendElement(out, t.DType, f.num64); err != nil {
				return err
			}
			continue
		}
		for b := f.b; len(b) > 0; {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return malformed("byte %d: %s: %w", f.at+len(f.b)-len(b), name, protowire.ParseError(n))
			}
			var err error
			if out, err = appendElement(out, t.DType, v); err != nil {
				return within(err, "byte %d: %s", f.at+len(f.b)-len(b), name)
			}
			b = b[n:]
		}
	}
	t.Data = out
	return nil
}

// appendElement stores one varint as an element of d, or as a byte of packed
// elements.
func appendElement(out []byte, d graph.DType, v uint64) ([]byte, error) {
	lo, hi := int64(0), int64(0)
	switch d {
	case graph.Int64, graph.Uint64:
		return binary.LittleEndian.AppendUint64(out, v), nil
	case graph.Uint32:
		if v > math.MaxUint32 {
			return nil, malformed("%d does not fit in %s", v, d)
		}
		return binary.LittleEndian.AppendUint32(out, uint32(v)), nil
	case graph.Int32:
		lo, hi = math.MinInt32, math.MaxInt32
	case graph.Int16:
		lo, hi = math.MinInt16, math.MaxInt16
	case graph.Uint16, graph.Float16, graph.BFloat16:
		hi = math.MaxUint16
	case graph.Int8:
		lo, hi = math.MinInt8, math.MaxInt8
	case graph.Bool:
		hi = 1
	default: // 8-bit floats, uint8, and bytes of packed elements, which some write signed
		hi = math.MaxUint8
		if d.Bits() < 8 {
			lo = math.MinInt8
		}
	}
	i := int64(v)
	if i < lo || i > hi {
		return nil, malformed("%d does not fit in %s", i, d)
	}
	switch max(d.Bits(), 8) {
	case 32:
		return binary.LittleEndian.AppendUint32(out, uint32(i)), nil
	case 16:
		return binary.LittleEndian.AppendUint16(out, uint16(i)), nil
	}
	return append(out, byte(i)), nil
}

func (d *decoder) floatData(t *graph.Tensor, typed []field, name string, width int, size int64) error {
	var have int64
	for _, f := range typed {
		if f.typ != protowire.BytesType && len(f.b) != width || len(f.b)%width != 0 {
			return malformed("byte %d: %s is not made of %d-byte numbers", f.tag, name, width)
		}
		have += int64(len(f.b))
	}
	if have != size {
		return malformed("%s%v needs %d bytes, %s has %d", t.DType, t.Shape, size, name, have)
	}
	if len(typed) == 1 {
		t.Data = typed[0].b
		t.Source = &graph.Range{File: d.file, Offset: int64(typed[0].at), Length: size}
		return nil
	}
	if err := d.take(size); err != nil {
		return err
	}
	out := make([]byte, 0, size)
	for _, f := range typed {
		out = append(out, f.b...)
	}
	t.Data = out
	return nil
}

// dtypeOf checks a TensorProto.DataType; 0 is Undefined.
func dtypeOf(n int64) (graph.DType, error) {
	if n >= 0 && n <= 255 {
		if t := graph.DType(n); t == graph.Undefined || t.Valid() {
			return t, nil
		}
	}
	switch n {
	case 27, 28:
		return 0, unsupported("dtype %d (%s) has no support", n, [...]string{"float6e2m3", "float6e3m2"}[n-27])
	}
	return 0, unsupported("dtype %d is unknown; ONNX's are 1 (float32) to %d (%s)", n, graph.Int2, graph.Int2)
}
