// Package npy reads and writes tensors as NumPy's .npy files, the form in which
// models' inputs come in and their outputs go out on the command line.
//
// The format is that of numpy.lib.format, versions 1.0, 2.0 and 3.0: the magic
// string, a version, the length of a header, the header (a Python dict literal
// padded with blanks), then the elements.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/disk"
)

var (
	// ErrMalformed: the bytes are not a .npy file, or contradict their header.
	ErrMalformed = errors.New("malformed .npy")
	// ErrUnsupported: a sound file or tensor of an element type that the other
	// side cannot hold.
	ErrUnsupported = errors.New("unsupported by .npy exchange")
)

const (
	magic     = "\x93NUMPY"
	alignment = 64      // of the first element in files that are written
	maxHeader = 1 << 16 // bytes; a header of 64 extents is far smaller
	maxRank   = 64      // as in NumPy 2
)

// elements lists the exchanged types by NumPy's kind and width in bytes.
var elements = []struct {
	descr string
	dtype graph.DType
}{
	{"b1", graph.Bool},
	{"i1", graph.Int8}, {"i2", graph.Int16}, {"i4", graph.Int32}, {"i8", graph.Int64},
	{"u1", graph.Uint8}, {"u2", graph.Uint16}, {"u4", graph.Uint32}, {"u8", graph.Uint64},
	{"f2", graph.Float16}, {"f4", graph.Float32}, {"f8", graph.Float64},
}

// Read reads a tensor from a file. Errors name the file and wrap ErrMalformed,
// ErrUnsupported or the operating system's error.
func Read(path string) (*graph.Tensor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Decode(path, b)
}

// Decode reads a tensor from the bytes of a whole file; name is what errors call
// it. The tensor's data is part of b, except that an array in Fortran order is
// transposed into row-major order, which takes a copy.
func Decode(name string, b []byte) (*graph.Tensor, error) {
	t, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func decode(b []byte) (*graph.Tensor, error) {
	head, data, err := split(b)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(head)
	if err != nil {
		return nil, err
	}
	t := &graph.Tensor{Shape: h.shape}
	if t.DType, err = dtypeOf(h.descr); err != nil {
		return nil, err
	}
	n, err := graph.Elements(h.shape)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	size, ok := t.DType.Bytes(n)
	if !ok || size != int64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes follow the header, %s%v needs %d", ErrMalformed, len(data), t.DType, h.shape, size)
	}
	if t.DType == graph.Bool {
		for i, v := range data {
			if v > 1 {
				return nil, fmt.Errorf("%w: element %d is %d, a bool is 0 or 1", ErrMalformed, i, v)
			}
		}
	}
	t.Data = data
	if h.fortran {
		t.Data = transpose(data, h.shape, t.DType.Bits()/8)
	}
	return t, nil
}

// split cuts a file into its header's text and its elements.
func split(b []byte) (head string, data []byte, err error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return "", nil, fmt.Errorf("%w: it does not begin with %q", ErrMalformed, magic)
	}
	if len(b) < len(magic)+2 {
		return "", nil, fmt.Errorf("%w: it ends within the version", ErrMalformed)
	}
	major, minor, rest := b[6], b[7], b[8:]
	width := 4
	switch {
	case major == 1 && minor == 0:
		width = 2
	case major < 1 || major > 3 || minor != 0:
		return "", nil, fmt.Errorf("%w: version %d.%d, known are 1.0, 2.0 and 3.0", ErrMalformed, major, minor)
	}
	if len(rest) < width {
		return "", nil, fmt.Errorf("%w: it ends within the header's length", ErrMalformed)
	}
	var length uint32
	if width == 2 {
		length = uint32(binary.LittleEndian.Uint16(rest))
	} else {
		length = binary.LittleEndian.Uint32(rest)
	}
	rest = rest[width:]
	if length > maxHeader || int(length) > len(rest) {
		return "", nil, fmt.Errorf("%w: a header of %d bytes, where %d follow and %d are the limit", ErrMalformed, length, len(rest), maxHeader)
	}
	return string(rest[:length]), rest[length:], nil
}

// dtypeOf reads an array-protocol type string such as "<f4".
func dtypeOf(descr string) (graph.DType, error) {
	if descr == "" {
		return 0, fmt.Errorf("%w: 'descr' is empty", ErrMalformed)
	}
	order, kind := descr[0], descr[1:]
	for _, e := range elements {
		if e.descr != kind {
			continue
		}
		switch {
		case order == '<', order == '|' && e.dtype.Bits() == 8:
			return e.dtype, nil
		case order == '>':
			return 0, fmt.Errorf("%w: big-endian elements %q; save a.astype('<%s') instead", ErrUnsupported, descr, kind)
		}
	}
	return 0, fmt.Errorf("%w: elements %q; save booleans, integers, or floats of 16 to 64 bits, little-endian", ErrUnsupported, descr)
}

// transpose copies elements of the given width in bytes from Fortran order, the
// first index fastest, into row-major order.
func transpose(data []byte, shape []int64, width int) []byte {
	out := make([]byte, len(data))
	strides := make([]int, len(shape))
	step := width
	for i, n := range shape {
		strides[i] = step
		step *= int(n)
	}
	index := make([]int64, len(shape))
	from := 0
	for to := 0; to < len(out); to += width {
		copy(out[to:to+width], data[from:])
		for i := len(shape) - 1; i >= 0; i-- {
			index[i]++
			from += strides[i]
			if index[i] < shape[i] {
				break
			}
			from -= strides[i] * int(shape[i])
			index[i] = 0
		}
	}
	return out
}

// Write writes a tensor to a file of version 1.0, replacing an older one at
// once and whole: a reader never sees half of it.
func Write(d *disk.Disk, path string, t *graph.Tensor) error {
	b, err := encode(t)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return d.WriteFile(path, b)
}

// encode returns the bytes of a file of version 1.0. Tensors of types that NumPy
// lacks (bfloat16, 8- and 4-bit floats, packed integers, strings) and containers
// are refused with ErrUnsupported.
func encode(t *graph.Tensor) ([]byte, error) {
	descr := ""
	for _, e := range elements {
		if e.dtype == t.DType {
			descr = e.descr
		}
	}
	if t.Kind != graph.TensorKind || descr == "" {
		return nil, fmt.Errorf("%w: NumPy has no type for %s", ErrUnsupported, t.Type())
	}
	if len(t.Shape) > maxRank {
		return nil, fmt.Errorf("%w: rank %d, the limit is %d", ErrUnsupported, len(t.Shape), maxRank)
	}
	n, err := graph.Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	if size, ok := t.DType.Bytes(n); !ok || size != int64(len(t.Data)) {
		return nil, fmt.Errorf("tensor %s has %d bytes of data, it needs %d", t.Type(), len(t.Data), size)
	}
	order := "<"
	if t.DType.Bits() == 8 {
		order = "|"
	}
	extents := make([]string, len(t.Shape))
	for i, n := range t.Shape {
		extents[i] = strconv.FormatInt(n, 10)
	}
	shape := strings.Join(extents, ", ")
	if len(t.Shape) == 1 {
		shape += "," // a tuple of one
	}
	head := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, descr, shape)
	begin := len(magic) + 4
	head += strings.Repeat(" ", alignment-1-(begin+len(head))%alignment) + "\n"
	b := make([]byte, 0, begin+len(head)+len(t.Data))
	b = append(b, magic+"\x01\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = append(b, head...)
	return append(b, t.Data...), nil
}
