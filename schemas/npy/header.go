package npy

import (
	"fmt"
	"strconv"
	"strings"
)

// header is the dict of a file.
type header struct {
	descr   string
	fortran bool
	shape   []int64
}

// parseHeader reads a Python dict literal with exactly the keys 'descr' (a
// string), 'fortran_order' (True or False) and 'shape' (a tuple of integers), in
// any order. Nothing else of Python is understood.
func parseHeader(text string) (header, error) {
	p := &parser{text: strings.TrimRight(text, " \n")}
	h, err := p.dict()
	if err != nil {
		return header{}, fmt.Errorf("header, byte %d: %w", p.pos, err)
	}
	return h, nil
}

type parser struct {
	text string
	pos  int
}

func (p *parser) dict() (h header, err error) {
	if err := p.expect('{'); err != nil {
		return h, err
	}
	seen := map[string]bool{}
	for !p.take('}') {
		key, err := p.str()
		if err != nil {
			return h, err
		}
		if err := p.expect(':'); err != nil {
			return h, err
		}
		if seen[key] {
			return h, fmt.Errorf("%w: key %q comes twice", ErrMalformed, key)
		}
		seen[key] = true
		switch key {
		case "descr":
			if p.next() == '[' {
				return h, fmt.Errorf("%w: structured elements; save each field as an array", ErrUnsupported)
			}
			h.descr, err = p.str()
		case "fortran_order":
			h.fortran, err = p.boolean()
		case "shape":
			h.shape, err = p.tuple()
		default:
			err = fmt.Errorf("%w: unknown key %q", ErrMalformed, key)
		}
		if err != nil {
			return h, err
		}
		if !p.take(',') && p.next() != '}' {
			return h, p.expect(',')
		}
	}
	if p.next(); p.pos != len(p.text) {
		return h, fmt.Errorf("%w: %q follows the dict", ErrMalformed, p.rest())
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return h, fmt.Errorf("%w: key %q is missing", ErrMalformed, key)
		}
	}
	return h, nil
}

// next skips blanks and returns the byte that follows, 0 at the end.
func (p *parser) next() byte {
	for p.pos < len(p.text) && p.text[p.pos] == ' ' {
		p.pos++
	}
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *parser) take(c byte) bool {
	if p.next() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) expect(c byte) error {
	if p.take(c) {
		return nil
	}
	return fmt.Errorf("%w: got %q, want %q", ErrMalformed, p.rest(), c)
}

// rest returns the begin of what has not been read, for messages.
func (p *parser) rest() string { return p.text[p.pos:min(len(p.text), p.pos+16)] }

// str reads a quoted string; the names and types in headers have no escapes.
func (p *parser) str() (string, error) {
	quote := p.next()
	if quote != '\'' && quote != '"' {
		return "", fmt.Errorf("%w: got %q, want a string", ErrMalformed, p.rest())
	}
	body := p.text[p.pos+1:]
	end := strings.IndexByte(body, quote)
	if end < 0 || strings.Contains(body[:end], `\`) {
		return "", fmt.Errorf("%w: string without an end, or with an escape", ErrMalformed)
	}
	p.pos += end + 2
	return body[:end], nil
}

func (p *parser) boolean() (bool, error) {
	p.next()
	for _, word := range []string{"True", "False"} {
		if strings.HasPrefix(p.text[p.pos:], word) {
			p.pos += len(word)
			return word == "True", nil
		}
	}
	return false, fmt.Errorf("%w: got %q, want True or False", ErrMalformed, p.rest())
}

// tuple reads (), (3,) or (3, 4); as in Python, (3) is no tuple.
func (p *parser) tuple() ([]int64, error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	shape := []int64{}
	for comma := true; !p.take(')'); {
		if !comma {
			return nil, p.expect(',')
		}
		p.next()
		end := p.pos
		for end < len(p.text) && '0' <= p.text[end] && p.text[end] <= '9' {
			end++
		}
		n, err := strconv.ParseInt(p.text[p.pos:end], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: got %q, want an extent", ErrMalformed, p.rest())
		}
		p.pos = end
		if len(shape) == maxRank {
			return nil, fmt.Errorf("%w: more than %d extents", ErrMalformed, maxRank)
		}
		shape = append(shape, n)
		if comma = p.take(','); !comma && len(shape) == 1 {
			return nil, p.expect(',')
		}
	}
	return shape, nil
}
