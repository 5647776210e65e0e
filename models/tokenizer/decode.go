package tokenizer

import "unicode/utf8"

// Decode returns the text of ids, with U+FFFD where their bytes are not UTF-8.
// Ids without a token give nothing; neither do special tokens if skipSpecial is
// set.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	var text []byte
	for _, id := range ids {
		text = t.append(text, id, skipSpecial)
	}
	return valid(string(text))
}

func (t *Tokenizer) append(text []byte, id int32, skipSpecial bool) []byte {
	if !t.has(id) || skipSpecial && t.special[id] {
		return text
	}
	return t.appendText(text, id)
}

// Stream decodes ids as they are generated. What Push and a last Flush return,
// put together, is what Decode gives for all the ids. A Stream is for one
// goroutine.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	held        []byte // the beginning of a character, at most three bytes
}

// Stream starts the decoding of one sequence.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial}
}

// Push returns the text that id completes. A character whose bytes are spread
// over several tokens comes with the last of them.
func (s *Stream) Push(id int32) string {
	text := s.t.append(s.held, id, s.skipSpecial)
	end := len(text)
	for i := max(0, end-utf8.UTFMax+1); i < end; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			end = i
		}
	}
	out := valid(string(text[:end]))
	s.held = append(s.held[:0], text[end:]...)
	return out
}

// Flush ends the sequence: it returns U+FFFD if a character is left unfinished.
func (s *Stream) Flush() string {
	out := valid(string(s.held))
	s.held = s.held[:0]
	return out
}
