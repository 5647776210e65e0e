package tokenizer

import (
	"fmt"
	"strings"
)

// maxText bounds the bytes of one text: positions in a word are 32 bits wide.
const maxText = 1 << 30

// Encode returns the ids of text. Added tokens spelled in the text become their
// ids; use [Tokenizer.Guard] for text that must not. Invalid UTF-8 counts as
// U+FFFD. Time is in proportion to the text's length, but for a logarithm in the
// longest word and for what the tokenizer's own split pattern may cost.
//
// An error means that the text is over 1 GiB, or that a split pattern other than
// those of GPT-2, GPT-4 and Qwen2 gave up on it after 10 seconds for one match.
func (t *Tokenizer) Encode(text string) ([]int32, error) {
	return t.encode(text, false)
}

// encode finds added tokens, and encodes what lies between them. In guarded text
// all of them are sought before any normalisation.
func (t *Tokenizer) encode(text string, guarded bool) ([]int32, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("text has %d bytes, more than %d", len(text), maxText)
	}
	w := words{t: t, merger: merger{bpe: &t.bpe, vocabulary: &t.vocabulary}}
	for _, outer := range t.exact.split(valid(text), guarded) {
		if outer.id >= 0 {
			w.ids = append(w.ids, outer.id)
			continue
		}
		if !guarded {
			outer.text = t.normalize(outer.text)
		}
		for _, inner := range t.normalized.split(outer.text, guarded) {
			if inner.id >= 0 {
				w.ids = append(w.ids, inner.id)
				continue
			}
			if guarded {
				inner.text = t.normalize(strings.ReplaceAll(inner.text, marker, ""))
			}
			if err := w.encode(inner.text, t.stages); err != nil {
				return nil, err
			}
		}
	}
	return w.ids, nil
}

// words collects the ids of the words of a text.
type words struct {
	t      *Tokenizer
	merger merger
	ids    []int32
}

// encode splits text by the remaining stages and merges the words that result.
func (w *words) encode(text string, stages []stage) error {
	if text == "" {
		return nil
	}
	if len(stages) == 0 {
		w.ids = w.merger.encode(w.ids, text)
		return nil
	}
	return stages[0].split(text, func(part string) error { return w.encode(part, stages[1:]) })
}
