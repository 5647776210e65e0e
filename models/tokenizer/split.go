package tokenizer

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// Patterns in wide use. They take linear time on any text.
const (
	// What a ByteLevel pre-tokenizer splits by when use_regex is set.
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// Qwen2 and later.
	qwen2Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// GPT-4 and Llama 3.
	gpt4Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// matchTimeout ends the search for one match of any other pattern, which may
// backtrack without end. It is generous because it counts the time that the
// process is kept waiting, too.
const matchTimeout = 10 * time.Second

// stage is one step of the pre-tokenizer: it cuts a piece of text at the matches
// of a pattern and passes on matches and the text between them.
type stage struct {
	prefixSpace bool            // a piece that does not start with a space gets one
	pattern     *regexp2.Regexp // nil: the piece stays whole
	dropMatches bool
	dropGaps    bool
	byteLevel   bool // turns words into bytes
}

// splitStage returns the stage of a Split with the behaviour Isolated or Removed.
func splitStage(pattern, behavior string, invert bool) (stage, error) {
	if len(pattern) > maxPattern {
		return stage{}, malformed("split pattern has %d bytes, more than %d", len(pattern), maxPattern)
	}
	// Oniguruma, which Hugging Face uses, lets ^ and $ match at every line.
	re, err := regexp2.Compile(pattern, regexp2.Multiline)
	if err != nil {
		return stage{}, malformed("split pattern %.60q: %v", pattern, err)
	}
	if pattern != gpt2Pattern && pattern != qwen2Pattern && pattern != gpt4Pattern {
		re.MatchTimeout = matchTimeout
	}
	switch behavior {
	case "Isolated":
		return stage{pattern: re}, nil
	case "Removed":
		return stage{pattern: re, dropMatches: !invert, dropGaps: invert}, nil
	}
	return stage{}, unsupported("Split with the behavior %.60q", behavior)
}

// byteLevelStage returns the stage of a ByteLevel pre-tokenizer.
func byteLevelStage(prefixSpace, useRegex bool) (stage, error) {
	s := stage{}
	if useRegex {
		var err error
		if s, err = splitStage(gpt2Pattern, "Isolated", false); err != nil {
			return stage{}, err
		}
	}
	s.prefixSpace, s.byteLevel = prefixSpace, true
	return s, nil
}

// digitsStage returns the stage of a Digits pre-tokenizer.
func digitsStage(individual bool) (stage, error) {
	if individual {
		return splitStage(`\p{N}`, "Isolated", false)
	}
	return splitStage(`\p{N}+`, "Isolated", false)
}

// checkByteLevel refuses pre-tokenizers that do not turn text into bytes as their
// last step: stages behind that would see the byte alphabet.
func checkByteLevel(stages []stage) error {
	for i, s := range stages {
		if last := i == len(stages)-1; s.byteLevel != last {
			return unsupported("step %d of %d: want ByteLevel at the end, and there only", i+1, len(stages))
		}
	}
	if len(stages) == 0 {
		return unsupported("none, want ByteLevel")
	}
	return nil
}

// split calls yield with the parts of a piece, in order and none empty. It ends
// at the first error of yield or of the pattern.
func (s *stage) split(piece string, yield func(string) error) error {
	if s.prefixSpace && !strings.HasPrefix(piece, " ") {
		piece = " " + piece
	}
	if s.pattern == nil {
		return yield(piece)
	}
	pass := func(part string, drop bool) error {
		if drop || part == "" {
			return nil
		}
		return yield(part)
	}
	runes := []rune(piece)
	at, done := 0, 0 // runes and bytes passed on
	bytes := func(runes []rune) (n int) {
		for _, r := range runes {
			n += utf8.RuneLen(r)
		}
		return n
	}
	var failed error
	err := s.pattern.FindRunesMatches(runes, 0, func(m regexp2.MatchView) bool {
		index, length, _ := m.GroupRange(0)
		from := done + bytes(runes[at:index])
		to := from + bytes(runes[index:index+length])
		if failed = pass(piece[done:from], s.dropGaps); failed == nil {
			failed = pass(piece[from:to], s.dropMatches)
		}
		at, done = index+length, to
		return failed == nil
	})
	if err != nil {
		return fmt.Errorf("split pattern %.60q: %w", s.pattern, err)
	}
	if failed != nil {
		return failed
	}
	return pass(piece[done:], s.dropGaps)
}
