package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexer cuts a template into texts and tags, and the tags into words. White space goes as Jinja has it under trim_blocks
// and lstrip_blocks, which is how transformers configures it (utils/chat_template_utils.py).
type lexer struct {
	source string
	pos    int // behind what was read
	at     int // of what is being read, for errors
}

// segment is text and the tag behind it.
type segment struct {
	text  string
	pos   int    // of the text
	tag   string // "{{", "{%", "{#", or "" at the end of the template
	at    int    // of the tag
	words []token
}

// token is a word of a tag.
type token struct {
	kind word
	text string // the value of a quoted text; else as it is written
	pos  int
}

type word int

const (
	endOfTag word = iota
	nameToken
	textToken
	intToken
	floatToken
	signToken // an operator or a bracket
)

// next reads up to the end of the next tag.
func (l *lexer) next() segment {
	s := segment{pos: l.pos}
	lineStart := l.pos == 0 || l.source[l.pos-1] == '\n'
	n := start(l.source[l.pos:])
	if n < 0 {
		s.text, s.at, l.pos = l.source[l.pos:], len(l.source), len(l.source)
		return s
	}
	s.at = l.pos + n
	s.text, s.tag = l.source[s.pos:s.at], l.source[s.at:s.at+2]
	l.pos, l.at = s.at+2, s.at
	switch {
	case l.accept("-"):
		s.text = strings.TrimRightFunc(s.text, isSpace)
	case l.accept("+"), s.tag == "{{":
	default: // a block or comment that stands first in its line takes the blanks before it along
		line := strings.LastIndexByte(s.text, '\n') + 1
		if (line > 0 || lineStart) && strings.TrimLeftFunc(s.text[line:], isSpace) == "" {
			s.text = s.text[:line]
		}
	}
	if s.tag == "{#" {
		n := strings.Index(l.source[l.pos:], "#}")
		if n < 0 {
			halt(ErrMalformed, "a comment without end")
		}
		mark := ""
		if n > 0 {
			mark = l.source[l.pos+n-1 : l.pos+n]
		}
		l.pos += n + 2
		l.trim(mark, true)
		return s
	}
	s.words = l.words(s)
	return s
}

// start is where the first tag of s starts, or -1.
func start(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && strings.IndexByte("{%#", s[i+1]) >= 0 {
			return i
		}
	}
	return -1
}

// accept reads s if it comes next.
func (l *lexer) accept(s string) bool {
	ok := strings.HasPrefix(l.source[l.pos:], s)
	if ok {
		l.pos += len(s)
	}
	return ok
}

// trim drops the space behind a tag: all behind a minus, one line end behind a block or comment, none behind a plus.
func (l *lexer) trim(mark string, block bool) {
	switch rest := l.source[l.pos:]; {
	case mark == "-":
		l.pos += len(rest) - len(strings.TrimLeftFunc(rest, isSpace))
	case mark != "+" && block:
		l.accept("\n")
	}
}

// words reads the rest of a tag.
func (l *lexer) words(s segment) []token {
	var words []token
	var open []byte // the brackets that have to close
	for {
		rest := strings.TrimLeftFunc(l.source[l.pos:], isSpace)
		l.pos = len(l.source) - len(rest)
		if rest == "" {
			halt(ErrMalformed, "a tag without end")
		}
		l.at = l.pos
		if len(open) == 0 && l.end(s.tag) {
			return append(words, token{kind: endOfTag, text: "the end of the tag", pos: l.at})
		}
		if len(words) == maxWords {
			halt(ErrLimit, "a tag of more than %d words", maxWords)
		}
		t := l.word(rest)
		words = append(words, t)
		if t.kind != signToken {
			continue
		}
		switch c := t.text[0]; c {
		case '(', '[', '{':
			if open = append(open, map[byte]byte{'(': ')', '[': ']', '{': '}'}[c]); len(open) > maxDepth {
				halt(ErrLimit, "more than %d brackets within each other", maxDepth)
			}
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != c {
				halt(ErrMalformed, "unexpected %q", c)
			}
			open = open[:len(open)-1]
		}
	}
}

// end reads the end of a tag, if it comes next.
func (l *lexer) end(tag string) bool {
	closing, marks := "}}", []string{"-", ""}
	if tag == "{%" {
		closing, marks = "%}", []string{"-", "+", ""}
	}
	for _, mark := range marks {
		if l.accept(mark + closing) {
			l.trim(mark, tag == "{%")
			return true
		}
	}
	return false
}

// word reads the word that rest begins with.
func (l *lexer) word(rest string) token {
	t := token{pos: l.pos}
	n := 0
	switch c := rest[0]; {
	case c == '\'' || c == '"':
		t.kind, n = textToken, 1+closingQuote(rest)
		t.text = unquote(rest[1 : n-1])
	case '0' <= c && c <= '9':
		t.kind, n = number(rest, l.source[l.pos-1] == '.')
	case isNameByte(c):
		t.kind = nameToken
		for n < len(rest) && isNameByte(rest[n]) {
			n++
		}
	default:
		t.kind, n = signToken, 1
		for _, two := range []string{"//", "**", "==", "!=", "<=", ">="} {
			if strings.HasPrefix(rest, two) {
				n = 2
			}
		}
		if n == 1 && strings.IndexByte("+-*/%~<>=.,:|()[]{}", c) < 0 {
			r, _ := utf8.DecodeRuneInString(rest)
			halt(ErrMalformed, "unexpected %q", r)
		}
	}
	if t.kind != textToken {
		t.text = rest[:n]
	}
	l.pos += n
	return t
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// number is the kind and length of the number that s begins with. Behind a dot it is an index, and ends at the next dot.
func number(s string, index bool) (word, int) {
	digits := func(i int) int {
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i
	}
	kind, n := intToken, digits(0)
	if index {
		return kind, n
	}
	if end := digits(min(n+1, len(s))); n < len(s) && s[n] == '.' && end > n+1 {
		kind, n = floatToken, end
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		from := n + 1
		if from < len(s) && (s[from] == '+' || s[from] == '-') {
			from++
		}
		if end := digits(min(from, len(s))); end > from {
			kind, n = floatToken, end
		}
	}
	return kind, n
}

// closingQuote is where the text that s begins with ends.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i
		}
	}
	halt(ErrMalformed, "a text without end")
	return 0
}

// unquote reads Python's escapes. One that Python does not know stays as it is.
func unquote(s string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		n, r := escape(after)
		switch {
		case n == 0:
			out.WriteByte('\\')
		case r >= 0:
			out.WriteRune(r)
		}
		s = after[n:]
	}
}

// escape is the length of the escape that s begins with, behind its backslash, and the character it stands for; the
// character is -1 for none, the length 0 where there is no escape.
func escape(s string) (int, rune) {
	base, first, most := rune(16), 1, 0 // of the digits
	switch c := s[0]; c {
	case '\n':
		return 1, -1
	case '\\', '\'', '"':
		return 1, rune(c)
	case 'x':
		most = 2
	case 'u':
		most = 4
	case 'U':
		most = 8
	default:
		if i := strings.IndexByte("abfnrtv", c); i >= 0 {
			return 1, rune("\a\b\f\n\r\t\v"[i])
		}
		if c < '0' || c > '7' {
			return 0, 0
		}
		base, first, most = 8, 0, 3
	}
	n, r := 0, rune(0)
	for _, c := range s[first:min(first+most, len(s))] {
		d := rune(strings.IndexRune("0123456789abcdef", unicode.ToLower(c)))
		if d < 0 || d >= base {
			break
		}
		n, r = n+1, r*base+d
	}
	if base == 16 && n < most || r > unicode.MaxRune || r < 0 {
		halt(ErrMalformed, "an escape that is cut short, or of no character")
	}
	return first + n, r
}

// isSpace says what Python calls space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || '\x1c' <= r && r <= '\x1f' }
