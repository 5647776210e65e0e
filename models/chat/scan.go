package chat

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// scan follows the tags of source before gonja's lexer may, which loops for ever on some input (a digit, a dot and a
// letter that is not ASCII) and takes a sign it does not know for part of the next word. It returns source with spaces for
// the line ends within tags, texts excepted: gonja takes only blanks and tabs as space there. Offsets stay.
func scan(source string) (unfolded string, pos int, err error) {
	b := []byte(source)
	for i := 0; i < len(b); {
		switch {
		case bytes.HasPrefix(b[i:], []byte("{#")):
			n := bytes.Index(b[i+2:], []byte("#}"))
			if n < 0 {
				return "", i, refuse(ErrMalformed, "a comment without end")
			}
			i += n + 4
		case bytes.HasPrefix(b[i:], []byte("{{")), bytes.HasPrefix(b[i:], []byte("{%")):
			n, err := scanTag(b[i:])
			if i += n; err != nil {
				return "", i, err
			}
		default:
			i++
		}
	}
	return string(b), 0, nil
}

// scanTag returns the length of the tag that b starts with, or the offset of what is wrong in it.
func scanTag(b []byte) (int, error) {
	end := "}}"
	if b[1] == '%' {
		end = "%}"
	}
	var open []byte // the brackets that have to close
	for i := 2; i < len(b); i++ {
		c := b[i]
		switch closing := len(open) > 0 && open[len(open)-1] == '}'; {
		case !(closing && c == '}') && bytes.HasPrefix(b[i:], []byte(end)):
			if len(open) > 0 {
				return i, refuse(ErrMalformed, "%q wanted, found the end of the tag", open[len(open)-1])
			}
			return i + 2, nil
		case c == '\'' || c == '"':
			n, err := scanText(b[i:])
			if err != nil {
				return i, err
			}
			i += n - 1
		case c == '\n':
			b[i] = ' '
		case strings.IndexByte("([{", c) >= 0:
			if open = append(open, ")]}"[strings.IndexByte("([{", c)]); len(open) > maxDepth {
				return i, refuse(ErrLimit, "more than %d brackets within each other", maxDepth)
			}
		case strings.IndexByte(")]}", c) >= 0:
			if len(open) == 0 || open[len(open)-1] != c {
				return i, refuse(ErrMalformed, "unexpected %q", c)
			}
			open = open[:len(open)-1]
		case c == '_', '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z', strings.IndexByte(" \t.,|:+-~*/%<>=!", c) >= 0:
		default:
			r, _ := utf8.DecodeRune(b[i:])
			return i, refuse(ErrMalformed, "unexpected %q", r)
		}
	}
	return 0, refuse(ErrMalformed, "a tag without end")
}

// scanText returns the length of the quoted text that b starts with.
func scanText(b []byte) (int, error) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			if i++; i+1 < len(b) && b[i] == '\\' && b[i+1] == b[0] { // gonja would read over the quote
				return 0, refuse(ErrUnsupported, "a text that ends in a backslash")
			}
		case b[0]:
			return i + 1, nil
		}
	}
	return 0, refuse(ErrMalformed, "a text without end")
}
