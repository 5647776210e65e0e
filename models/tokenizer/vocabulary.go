package tokenizer

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"
)

// entry is one token of the model's own vocabulary.
type entry struct {
	token string
	id    int64
}

// vocabulary maps ids to spellings and texts, and spellings to ids.
type vocabulary struct {
	spellings string  // of all tokens as in the file, in the order of their ids
	starts    numbers // by id: where its spelling begins, and the last one's end; empty ones are no tokens
	sorted    numbers // the ids of all tokens, in the order of their spellings
	added     []bool  // by id: it is an added token
	special   []bool  // by id
}

// index has the ids of spellings while a tokenizer is made.
type index map[string]int32

// newVocabulary checks and joins the tokens of the model and the added ones,
// which may repeat a token of the model under its id.
func newVocabulary(model []entry, added []addedToken) (vocabulary, index, error) {
	n := len(model) + len(added)
	last := int64(-1)
	for _, e := range model {
		last = max(last, e.id)
	}
	for _, a := range added {
		last = max(last, a.id)
	}
	// The tables are indexed by id, so one stray id must not make them huge.
	if last >= maxID || last > 2*int64(n)+1<<16 {
		return vocabulary{}, nil, malformed("largest id is %d with %d tokens in all", last, n)
	}
	tokens, ids := make([]string, last+1), make(index, n)
	for _, e := range model {
		if err := ids.add(tokens, e.token, e.id); err != nil {
			return vocabulary{}, nil, err
		}
	}
	for _, a := range added {
		if have, ok := ids[a.content]; !ok {
			if err := ids.add(tokens, a.content, a.id); err != nil {
				return vocabulary{}, nil, err
			}
		} else if int64(have) != a.id {
			return vocabulary{}, nil, malformed("token %.60q has the ids %d and %d", a.content, have, a.id)
		}
	}
	v := vocabulary{starts: newNumbers(len(tokens) + 1), sorted: bySpelling(tokens, len(ids))}
	end := 0
	for id, token := range tokens {
		end += len(token)
		v.starts.set(id+1, int32(end)) // a file is smaller than 2³¹ bytes
	}
	v.spellings = strings.Join(tokens, "")
	v.mark(added)
	return v, ids, nil
}

func (x index) add(tokens []string, token string, id int64) error {
	switch {
	case token == "":
		return malformed("token with id %d is empty", id)
	case id < 0:
		return malformed("token %.60q has the id %d", token, id)
	case tokens[id] != "":
		return malformed("id %d belongs to both %.60q and %.60q", id, tokens[id], token)
	}
	if have, ok := x[token]; ok {
		return malformed("token %.60q has the ids %d and %d", token, have, id)
	}
	tokens[id] = token
	x[token] = int32(id)
	return nil
}

// bySpelling returns the ids of n tokens in the order of their spellings.
func bySpelling(tokens []string, n int) numbers {
	type key struct {
		head uint64 // the first bytes, which decide most comparisons
		id   int32
	}
	keys := make([]key, 0, n)
	for id, token := range tokens {
		if token != "" {
			var head [8]byte
			copy(head[:], token)
			keys = append(keys, key{binary.BigEndian.Uint64(head[:]), int32(id)})
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return strings.Compare(tokens[a.id], tokens[b.id])
	})
	sorted := newNumbers(len(keys))
	for i, k := range keys {
		sorted.set(i, k.id)
	}
	return sorted
}

// mark notes which tokens are added ones.
func (v *vocabulary) mark(added []addedToken) {
	v.added, v.special = make([]bool, v.Size()), make([]bool, v.Size())
	for _, a := range added {
		v.added[a.id] = true
		v.special[a.id] = v.special[a.id] || a.special
	}
}

// Size returns the largest id plus one. Ids without a token may lie below it.
func (v *vocabulary) Size() int { return v.starts.len() - 1 }

// Token returns how the file spells the token of an id. Tokens of the model are
// in the byte alphabet of GPT-2, where "Ġ" is a space.
func (v *vocabulary) Token(id int32) (string, bool) {
	if id < 0 || int(id) >= v.Size() {
		return "", false
	}
	token := v.token(id)
	return token, token != ""
}

// ID returns the id of a token spelled as in the file, the inverse of Token.
func (v *vocabulary) ID(token string) (int32, bool) { return v.find([]byte(token)) }

// Special reports whether an id is a token that the file marks as special.
func (v *vocabulary) Special(id int32) bool { return v.has(id) && v.special[id] }

func (v *vocabulary) has(id int32) bool {
	_, ok := v.Token(id)
	return ok
}

// token returns the spelling of an id below Size, "" if there is no token.
func (v *vocabulary) token(id int32) string {
	return v.spellings[v.starts.at(int(id)):v.starts.at(int(id)+1)]
}

func (v *vocabulary) find(token []byte) (int32, bool) {
	lo, hi := 0, v.sorted.len()
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if v.token(v.sorted.at(mid)) < string(token) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == v.sorted.len() || v.token(v.sorted.at(lo)) != string(token) {
		return -1, false
	}
	return v.sorted.at(lo), true
}

// appendText appends the bytes that a token stands for.
func (v *vocabulary) appendText(text []byte, id int32) []byte {
	token := v.token(id)
	if v.added[id] { // spelled in plain text, not in the byte alphabet
		return append(text, token...)
	}
	before := len(text)
	for _, r := range token {
		if int(r) >= len(charBytes) || charBytes[r] < 0 { // with such a character a token stands for itself
			return append(text[:before], token...)
		}
		text = append(text, byte(charBytes[r]))
	}
	return text
}

// byteChars is GPT-2's byte alphabet (bytes_to_unicode of its encoder.py): bytes
// that print stand for themselves, the others for U+0100 and up in order.
var byteChars, charBytes = func() (chars [256]rune, bytes [324]int16) {
	for i := range bytes {
		bytes[i] = -1
	}
	next := rune(256)
	for b := range rune(256) {
		c := b
		if b <= ' ' || b >= 0x7f && b <= 0xa0 || b == 0xad {
			c, next = next, next+1
		}
		chars[b] = c
		bytes[c] = int16(b)
	}
	return chars, bytes
}()

// byteToken spells text in the byte alphabet, the inverse of appendText.
func byteToken(buf []byte, text string) []byte {
	for i := range len(text) {
		buf = utf8.AppendRune(buf, byteChars[text[i]])
	}
	return buf
}
