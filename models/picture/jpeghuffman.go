package picture

import "errors"

// jpegHuffman is a Huffman table made for decoding.
type jpegHuffman struct {
	// fast maps the next 9 bits to length<<8 | value of a code of at most 9 bits; 0 where the code is longer.
	fast [512]uint16
	// A longer code of n bits with the value c is values[c + offset[n]] if c < end[n].
	end, offset [17]int32
	values      [256]byte
}

// newJPEGHuffman reads a table: how many codes there are of each length, 1 to 16, and their values. It also returns the
// number of bytes read. body has at least 16 bytes.
func newJPEGHuffman(body []byte) (*jpegHuffman, int, error) {
	t := new(jpegHuffman)
	counts, values := body[:16], body[16:]
	code, n := int32(0), 0
	for i, count := range counts {
		length := i + 1
		t.offset[length] = int32(n) - code
		n += int(count)
		if n > len(t.values) || n > len(values) || code+int32(count) > 1<<length {
			return nil, 0, errors.New("a Huffman table with more codes than fit")
		}
		for ; count > 0 && length <= 9; count-- {
			entry := uint16(length)<<8 | uint16(values[code+t.offset[length]])
			first := int(code) << (9 - length)
			for j := range 1 << (9 - length) {
				t.fast[first+j] = entry
			}
			code++
		}
		code += int32(count)
		t.end[length] = code
		code <<= 1
	}
	copy(t.values[:], values[:n])
	return t, 16 + n, nil
}

// jpegBits reads the bits of entropy-coded data up to the next marker. Past the end it yields zeros and remembers that it
// fell short.
type jpegBits struct {
	data  []byte
	pos   int    // of the next byte to be loaded
	acc   uint64 // the loaded bits, the next one on top
	n     int    // how many they are
	short bool
}

func (b *jpegBits) fill() {
	for b.n <= 56 && b.pos < len(b.data) {
		v := b.data[b.pos]
		if v == 0xff {
			if b.pos+1 >= len(b.data) || b.data[b.pos+1] != 0 {
				return // a marker
			}
			b.pos++ // the zero after a 0xff that is data
		}
		b.pos++
		b.acc |= uint64(v) << (56 - b.n)
		b.n += 8
	}
}

func (b *jpegBits) drop(n int) {
	b.acc <<= n
	b.n -= n
	if b.n < 0 {
		b.acc, b.n, b.short = 0, 0, true
	}
}

// bits reads n bits, 1 to 16, as a number.
func (b *jpegBits) bits(n int) int32 {
	if b.n < n {
		b.fill()
	}
	v := int32(b.acc >> (64 - n))
	b.drop(n)
	return v
}

// signed reads the n bits of a coefficient: those that start with 0 stand for negative numbers.
func (b *jpegBits) signed(n int) int32 {
	v := b.bits(n)
	if v < 1<<(n-1) {
		v += 1 - 1<<n
	}
	return v
}

// symbol decodes one value. A code that the table lacks counts as falling short.
func (b *jpegBits) symbol(t *jpegHuffman) byte {
	if b.n < 16 {
		b.fill()
	}
	if e := t.fast[b.acc>>55]; e != 0 {
		b.drop(int(e >> 8))
		return byte(e)
	}
	for n := 10; n <= 16; n++ {
		if c := int32(b.acc >> (64 - n)); c < t.end[n] {
			b.drop(n)
			return t.values[c+t.offset[n]]
		}
	}
	b.short = true
	return 0
}
