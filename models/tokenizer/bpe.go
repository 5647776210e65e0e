package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// bpe merges the bytes of a word into tokens. It gives what Word::merge_all of
// Hugging Face's tokenizers gives: of all neighbours that may merge, those of
// the lowest rank do so first, the leftmost first among equals.
type bpe struct {
	start        [256][]int32 // the tokens of one byte before any merge
	merges       merges
	unknown      int32 // stands for bytes without a token, or -1
	fuseUnknown  bool  // one unknown for a run of such bytes
	ignoreMerges bool  // a word that is a token needs no merges
}

// newBPE sets up everything but the merges. Bytes whose character is no token
// become, in this order of preference, byte_fallback's <0x..> tokens, the unknown
// token, or nothing.
func newBPE(v *vocabulary, byteFallback bool) bpe {
	b := bpe{unknown: -1}
	for i := range b.start {
		char := utf8.AppendRune(nil, byteChars[i])
		if id, ok := v.find(char); ok {
			b.start[i] = []int32{id}
		} else if byteFallback {
			b.start[i] = fallback(v, char)
		}
	}
	return b
}

func fallback(v *vocabulary, char []byte) (ids []int32) {
	for _, c := range char {
		id, ok := v.ID(fmt.Sprintf("<0x%02X>", c))
		if !ok {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// setUnknown lets a token stand for bytes that have none.
func (b *bpe) setUnknown(id int32, fuse bool) {
	b.unknown, b.fuseUnknown = id, fuse
	for i := range b.start {
		if b.start[i] == nil {
			b.start[i] = []int32{id}
		}
	}
}

// symbol is a token in a word under merging. Symbols form a list in the order of
// the text; a merged symbol takes the place of its left part.
type symbol struct {
	id, prev, next int32
	rank, merged   int32 // of the merge with next: never if there is none
}

// merger holds the memory of one goroutine's merging.
type merger struct {
	*bpe
	vocabulary *vocabulary
	symbols    []symbol
	queue      []uint64 // a heap of rank<<32 | symbol; the lowest is first
	token      []byte
}

// encode appends the ids of a word to ids. It takes O(n log n) time for n bytes.
func (m *merger) encode(ids []int32, word string) []int32 {
	if m.ignoreMerges {
		m.token = byteToken(m.token[:0], word)
		if id, ok := m.vocabulary.find(m.token); ok && !m.vocabulary.special[id] {
			return append(ids, id)
		}
	}
	m.split(word)
	m.queue = m.queue[:0]
	for i := range m.symbols {
		m.offer(int32(i))
	}
	for len(m.queue) > 0 {
		top := m.pop()
		i := int32(uint32(top))
		left := &m.symbols[i]
		if left.rank != int32(top>>32) {
			continue // the pair has changed since it was offered
		}
		right := &m.symbols[left.next]
		left.id, left.next = left.merged, right.next
		right.rank = never
		if left.next >= 0 {
			m.symbols[left.next].prev = i
		}
		m.offer(i)
		if left.prev >= 0 {
			m.offer(left.prev)
		}
	}
	if len(m.symbols) == 0 {
		return ids
	}
	for i := int32(0); i >= 0; i = m.symbols[i].next {
		ids = append(ids, m.symbols[i].id)
	}
	return ids
}

// split sets symbols to the tokens of the word's bytes.
func (m *merger) split(word string) {
	m.symbols = m.symbols[:0]
	for i := range len(word) {
		for _, id := range m.start[word[i]] {
			n := int32(len(m.symbols))
			if m.fuseUnknown && id == m.unknown && n > 0 && m.symbols[n-1].id == id {
				continue
			}
			m.symbols = append(m.symbols, symbol{id: id, prev: n - 1, next: n + 1})
		}
	}
	if n := len(m.symbols); n > 0 {
		m.symbols[n-1].next = -1
	}
}

// offer queues the merge of a symbol with its successor, if there is one.
func (m *merger) offer(i int32) {
	s := &m.symbols[i]
	s.rank = never
	if s.next < 0 {
		return
	}
	s.rank, s.merged = m.merges.find(s.id, m.symbols[s.next].id)
	if s.rank == never {
		return
	}
	key := uint64(s.rank)<<32 | uint64(i)
	q := append(m.queue, key)
	at := len(q) - 1
	for at > 0 && q[(at-1)/2] > key {
		q[at] = q[(at-1)/2]
		at = (at - 1) / 2
	}
	q[at] = key
	m.queue = q
}

// pop takes the lowest entry off the queue.
func (m *merger) pop() uint64 {
	q := m.queue
	top, key := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	m.queue = q
	at := 0
	for {
		child := 2*at + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1] < q[child] {
			child++
		}
		if q[child] >= key {
			break
		}
		q[at] = q[child]
		at = child
	}
	if len(q) > 0 {
		q[at] = key
	}
	return top
}
