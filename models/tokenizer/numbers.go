package tokenizer

import "encoding/binary"

// numbers is a table of numbers of 32 bits, little-endian: as it lies in a file, so
// that a tokenizer is used as it was read.
type numbers []byte

func newNumbers(n int) numbers { return make(numbers, 4*n) }

func (t numbers) len() int { return len(t) / 4 }

func (t numbers) at(i int) int32 { return int32(binary.LittleEndian.Uint32(t[4*i:])) }

func (t numbers) set(i int, n int32) { binary.LittleEndian.PutUint32(t[4*i:], uint32(n)) }

func (t numbers) append(n ...int32) numbers {
	for _, n := range n {
		t = binary.LittleEndian.AppendUint32(t, uint32(n))
	}
	return t
}

// ascends reports whether the numbers start at 0, end at last, and none is below the
// one in front of it.
func (t numbers) ascends(last int) bool {
	before := int32(0)
	for i := range t.len() {
		n := t.at(i)
		if n < before || i == 0 && n != 0 {
			return false
		}
		before = n
	}
	return int(before) == last
}
