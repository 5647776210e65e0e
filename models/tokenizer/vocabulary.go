package tokenizer

import (
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
	tokens  []string // by id: the spelling in the file, "" where there is no token
	texts   []string // by id: the bytes that the token stands for
	special []bool   // by id
	ids     map[string]int32
}

// newVocabulary checks and joins the tokens of the model and the added ones,
// which may repeat a token of the model under its id.
func newVocabulary(model []entry, added []addedToken) (vocabulary, error) {
	n := len(model) + len(added)
	last, bytes := int64(-1), 0
	for _, e := range model {
		last = max(last, e.id)
		bytes += len(e.token)
	}
	for _, a := range added {
		last = max(last, a.id)
	}
	// The tables are indexed by id, so one stray id must not make them huge.
	if last >= maxID || last > 2*int64(n)+1<<16 {
		return vocabulary{}, malformed("largest id is %d with %d tokens in all", last, n)
	}
	size := int(last + 1)
	v := vocabulary{
		tokens:  make([]string, size),
		texts:   make([]string, size),
		special: make([]bool, size),
		ids:     make(map[string]int32, n),
	}
	var texts strings.Builder
	texts.Grow(bytes) // one allocation for all
	for _, e := range model {
		if err := v.add(e.token, e.id); err != nil {
			return vocabulary{}, err
		}
		start := texts.Len()
		writeText(&texts, e.token)
		v.texts[e.id] = texts.String()[start:]
	}
	for _, a := range added {
		if have, ok := v.ids[a.content]; !ok {
			if err := v.add(a.content, a.id); err != nil {
				return vocabulary{}, err
			}
		} else if int64(have) != a.id {
			return vocabulary{}, malformed("token %.60q has the ids %d and %d", a.content, have, a.id)
		}
		// An added token is spelled in plain text, not in the byte alphabet.
		v.texts[a.id] = a.content
		v.special[a.id] = v.special[a.id] || a.special
	}
	return v, nil
}

func (v *vocabulary) add(token string, id int64) error {
	switch {
	case token == "":
		return malformed("token with id %d is empty", id)
	case id < 0:
		return malformed("token %.60q has the id %d", token, id)
	case v.tokens[id] != "":
		return malformed("id %d belongs to both %.60q and %.60q", id, v.tokens[id], token)
	}
	if have, ok := v.ids[token]; ok {
		return malformed("token %.60q has the ids %d and %d", token, have, id)
	}
	v.tokens[id] = token
	v.ids[token] = int32(id)
	return nil
}

// Size returns the largest id plus one. Ids without a token may lie below it.
func (v *vocabulary) Size() int { return len(v.tokens) }

// Token returns how the file spells the token of an id. Tokens of the model are
// in the byte alphabet of GPT-2, where "Ġ" is a space.
func (v *vocabulary) Token(id int32) (string, bool) {
	if !v.has(id) {
		return "", false
	}
	return v.tokens[id], true
}

// ID returns the id of a token spelled as in the file, the inverse of Token.
func (v *vocabulary) ID(token string) (int32, bool) {
	id, ok := v.ids[token]
	return id, ok
}

// Special reports whether an id is a token that the file marks as special.
func (v *vocabulary) Special(id int32) bool { return v.has(id) && v.special[id] }

func (v *vocabulary) has(id int32) bool {
	return id >= 0 && int(id) < len(v.tokens) && v.tokens[id] != ""
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

// writeText writes the bytes that a token in the byte alphabet stands for. A
// token with any other character stands for itself.
func writeText(b *strings.Builder, token string) {
	for _, r := range token {
		if int(r) >= len(charBytes) || charBytes[r] < 0 {
			b.WriteString(token)
			return
		}
	}
	for _, r := range token {
		b.WriteByte(byte(charBytes[r]))
	}
}

// byteToken spells text in the byte alphabet, the inverse of writeText.
func byteToken(buf []byte, text string) []byte {
	for i := range len(text) {
		buf = utf8.AppendRune(buf, byteChars[text[i]])
	}
	return buf
}
