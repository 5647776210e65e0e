package tokenizer

import (
	"strings"
	"unicode"
)

// marker keeps the character behind it from beginning an added token. It is a
// noncharacter of Unicode, which no text may exchange.
const marker = "\uFDD0"

// Guard returns text made safe for use in a chat template whose output goes to
// [Tokenizer.EncodeGuarded]: no added token, special or not, will be found there
// that takes a visible character of its spelling from this text. Not by text that
// spells one, not by joining this text with the template's or with other
// guarded text, and not by trimming white space off it first.
//
// Most text comes back unchanged. Where it spells an added token, or starts or
// ends like a part of one, Guard puts a marker (U+FDD0) before the first character
// concerned; markers in the text itself are removed, and invalid UTF-8 is replaced
// by U+FFFD. Markers are placed inside white space at the ends, so that trimming
// works as on the bare text. A template that cuts text elsewhere keeps spelled
// tokens broken, but can make new ends that are not guarded.
func (t *Tokenizer) Guard(text string) string {
	text = strings.ReplaceAll(valid(text), marker, "")
	start := len(text) - len(strings.TrimLeftFunc(text, blank))
	core := strings.TrimRightFunc(text[start:], blank)
	var b strings.Builder
	done := 0
	for i := range core {
		// A spelling that begins before core and runs into it is broken at its start.
		// One that begins inside core is whole, or core ends before it does.
		if !t.begins(core[i:]) && !(i == 0 && t.continues(core)) {
			continue
		}
		b.WriteString(text[done : start+i])
		b.WriteString(marker)
		done = start + i
	}
	if done == 0 && b.Len() == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// EncodeGuarded returns the ids of a rendered chat template. It finds the added
// tokens that the template itself spells; text that went through [Tokenizer.Guard]
// cannot become one. The markers are dropped before the text between the
// added tokens is encoded, and added tokens are not sought again after that, nor
// after normalisation. Text without markers gives the ids of [Tokenizer.Encode],
// unless normalisation makes or breaks the spelling of an added token.
//
// One thing cannot be kept apart: a special token that is also the model's only
// token for a byte is what that byte encodes to.
func (t *Tokenizer) EncodeGuarded(rendered string) ([]int32, error) {
	return t.encode(rendered, true)
}

// begins reports whether text starts with the spelling of an added token, or is
// all of it the start of one.
func (t *Tokenizer) begins(text string) bool {
	found, open := t.opening.at(text)
	return found != nil || open
}

// continues reports whether text could complete the spelling of an added token
// that began before it: one of them, less its start, begins like text or the
// other way round.
func (t *Tokenizer) continues(text string) bool {
	for _, spelling := range t.controls {
		for i := 1; i < len(spelling); i++ {
			rest := spelling[i:]
			if rest[0] == text[0] && (strings.HasPrefix(text, rest) || strings.HasPrefix(rest, text)) {
				return true
			}
		}
	}
	return false
}

// blank reports what a template's trim may take off: white space and, as Python
// does with some, control characters.
func blank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
