package tokenizer

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found by its spelling before any splitting.
type addedToken struct {
	id         int64
	content    string
	special    bool
	lstrip     bool // takes the white space before it
	rstrip     bool // takes the white space after it
	singleWord bool // counts only with no word character beside it
	normalized bool // sought in normalised text
}

// checkAdded refuses lists of added tokens that cannot be sought in bounded time.
func checkAdded(added []addedToken) error {
	for i, a := range added {
		if len(a.content) > maxSpelling {
			return malformed("added_tokens[%d] has %d bytes, more than %d", i, len(a.content), maxSpelling)
		}
		if !utf8.ValidString(a.content) {
			return malformed("added_tokens[%d] %.60q is not UTF-8", i, a.content)
		}
	}
	return nil
}

// setAdded prepares the search for added tokens. It needs the normaliser.
func (t *Tokenizer) setAdded(added []addedToken) {
	var exact, normalized []addedToken
	for _, a := range added {
		if a.normalized {
			a.content = t.normalize(a.content)
			normalized = append(normalized, a)
		} else {
			exact = append(exact, a)
		}
	}
	t.exact, t.normalized = newSpellings(exact), newSpellings(normalized)
	var controls []addedToken
	for _, a := range slices.Concat(t.exact.sorted, t.normalized.sorted) {
		controls = append(controls, addedToken{content: strings.TrimFunc(a.content, blank)})
	}
	t.opening = newSpellings(controls)
	for _, a := range t.opening.sorted {
		t.controls = append(t.controls, a.content)
	}
}

// spellings finds added tokens in text.
type spellings struct {
	sorted []addedToken // by content, each content once and none empty
	first  [257]int32   // those that begin with byte b are sorted[first[b]:first[b+1]]
}

func newSpellings(added []addedToken) spellings {
	var s spellings
	s.sorted = slices.DeleteFunc(slices.Clone(added), func(a addedToken) bool { return a.content == "" })
	slices.SortStableFunc(s.sorted, func(a, b addedToken) int { return strings.Compare(a.content, b.content) })
	s.sorted = slices.CompactFunc(s.sorted, func(a, b addedToken) bool { return a.content == b.content })
	for _, a := range s.sorted {
		s.first[int(a.content[0])+1]++
	}
	for b := range 256 {
		s.first[b+1] += s.first[b]
	}
	return s
}

// at returns the longest added token that text begins with, or nil. open reports
// whether all of text is the beginning of a longer one.
func (s *spellings) at(text string) (found *addedToken, open bool) {
	lo, hi := s.first[text[0]], s.first[int(text[0])+1]
	for n := 1; lo < hi; n++ {
		// Here sorted[lo:hi] are the tokens that begin with text[:n].
		if len(s.sorted[lo].content) == n {
			found = &s.sorted[lo]
			lo++
		}
		if n == len(text) {
			return found, lo < hi
		}
		from := func(c int) int32 {
			return lo + int32(sort.Search(int(hi-lo), func(i int) bool { return int(s.sorted[int(lo)+i].content[n]) >= c }))
		}
		lo, hi = from(int(text[n])), from(int(text[n])+1)
	}
	return found, false
}

// piece is a part of a text: an added token, or text where id is -1.
type piece struct {
	text string
	id   int32
}

// split cuts text at the added tokens in it, the leftmost first and the longest
// at each place, as AddedVocabulary::find_matches of Hugging Face's tokenizers
// does. In guarded text a token may not begin right behind a marker.
func (s *spellings) split(text string, guarded bool) []piece {
	var pieces []piece
	done := 0
	for i := 0; i < len(text) && len(s.sorted) > 0; {
		if b := int(text[i]); s.first[b] == s.first[b+1] || guarded && strings.HasSuffix(text[:i], marker) {
			i++
			continue
		}
		token, _ := s.at(text[i:])
		if token == nil {
			i++
			continue
		}
		from, to := i, i+len(token.content)
		i = to
		if token.singleWord && (endsInWord(text[:from]) || startsWithWord(text[to:], guarded)) {
			continue
		}
		if token.lstrip {
			from = max(done, len(strings.TrimRightFunc(text[:from], unicode.IsSpace)))
		}
		if token.rstrip {
			to = len(text) - len(strings.TrimLeftFunc(text[to:], unicode.IsSpace))
		}
		if done < from {
			pieces = append(pieces, piece{text[done:from], -1})
		}
		pieces = append(pieces, piece{"", int32(token.id)})
		done = to
	}
	if done < len(text) {
		pieces = append(pieces, piece{text[done:], -1})
	}
	return pieces
}

func endsInWord(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return text != "" && word(r)
}

func startsWithWord(text string, guarded bool) bool {
	if guarded {
		text = strings.TrimLeft(text, marker)
	}
	r, _ := utf8.DecodeRuneInString(text)
	return text != "" && word(r)
}

// word reports whether r is a word character: \w of Unicode's regular expression
// guidelines (UTS 18, annex C).
func word(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nl, unicode.Nd, unicode.Pc,
		unicode.Other_Alphabetic, unicode.Join_Control)
}
