package graph

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseDim reads what [Dim.String] writes. Errors wrap ErrInvalid.
func ParseDim(text string) (Dim, error) {
	p := &parser{text: text}
	d := p.dim()
	p.end()
	return d, p.err
}

// maxNesting bounds dims, types and attributes inside one another.
const maxNesting = 64

// parser is a recursive descent over the text. The first error sticks and moves
// the position to the end, where nothing more is found, so that callers need not
// look at it; their loops end at the end of the text.
type parser struct {
	text  string
	pos   int
	depth int
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		line := 1 + strings.Count(p.text[:p.pos], "\n")
		p.err = fmt.Errorf("line %d: %w: %s", line, ErrInvalid, fmt.Sprintf(format, args...))
	}
	p.pos = len(p.text)
}

// nest counts a level of nesting; the caller defers the returned function.
func (p *parser) nest() func() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

// rest skips blanks and comments and returns what follows.
func (p *parser) rest() string {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
			continue
		case '#':
			if end := strings.IndexByte(p.text[p.pos:], '\n'); end >= 0 {
				p.pos += end
				continue
			}
			p.pos = len(p.text)
		}
		break
	}
	return p.text[p.pos:]
}

func (p *parser) end() {
	if rest := p.rest(); rest != "" {
		p.fail("%s follows the end", excerpt(rest))
	}
}

func excerpt(s string) string {
	if s == "" {
		return "the end"
	}
	return strconv.Quote(s[:min(len(s), 16)])
}

func (p *parser) take(mark string) bool {
	if !strings.HasPrefix(p.rest(), mark) {
		return false
	}
	p.pos += len(mark)
	return true
}

func (p *parser) expect(mark string) {
	if !p.take(mark) {
		p.fail("got %s, want %q", excerpt(p.rest()), mark)
	}
}

// list reads items parted by commas until the closing mark.
func (p *parser) list(closing string, item func()) {
	for first := true; p.err == nil && !p.take(closing); first = false {
		if !first {
			p.expect(",")
		}
		item()
	}
}

// run reads the longest run of the given bytes.
func (p *parser) run(set string) string {
	rest := p.rest()
	n := len(rest) - len(strings.TrimLeft(rest, set))
	p.pos += n
	return rest[:n]
}

func (p *parser) quoted() string {
	prefix, err := strconv.QuotedPrefix(p.rest())
	if err != nil || prefix[0] != '"' {
		p.fail("got %s, want a string", excerpt(p.rest()))
		return ""
	}
	s, _ := strconv.Unquote(prefix) // a QuotedPrefix is sound
	p.pos += len(prefix)
	return s
}

// name reads a run of plain bytes, or a string.
func (p *parser) name(plain string) string {
	if strings.HasPrefix(p.rest(), `"`) {
		return p.quoted()
	}
	s := p.run(plain)
	if s == "" {
		p.fail("got %s, want a name", excerpt(p.rest()))
	}
	return s
}

func (p *parser) integer() int64 {
	s := p.run("-0123456789")
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.fail("got %q, want an integer of 64 bits", s)
	}
	return n
}

const (
	letterBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	digitBytes  = "0123456789"
	numberBytes = "+-." + digitBytes + "abcdefNIn" // 1e-05, NaN, +Inf, bytes in hexadecimal
)

// symbol reads a plain symbol, a dtype or a function's name.
func (p *parser) symbol() string {
	if !strings.ContainsAny(p.rest()[:min(1, len(p.rest()))], letterBytes) {
		return ""
	}
	return p.run(letterBytes + digitBytes + ".#")
}

func (p *parser) dim() Dim {
	defer p.nest()()
	var sum Dim
	for negative := p.take("-"); p.err == nil; {
		product := p.factor(negative)
		for p.err == nil && p.take("*") {
			product = product.Mul(p.factor(false))
		}
		sum = sum.Add(product)
		if negative = p.take("-"); !negative && !p.take("+") {
			break
		}
	}
	return sum
}

// factor reads an integer, a symbol, a function of dims or a dim in parentheses,
// and changes its sign if it is told so: the smallest int64 has no positive
// counterpart.
func (p *parser) factor(negative bool) Dim {
	sign, text := Const(1), ""
	if negative {
		sign, text = Const(-1), "-"
	}
	if digits := p.run(digitBytes); digits != "" {
		n, err := strconv.ParseInt(text+digits, 10, 64)
		if err != nil {
			p.fail("%s%s does not fit 64 bits", text, digits)
		}
		return Const(n)
	}
	if strings.HasPrefix(p.rest(), `"`) {
		return Sym(p.quoted()).Mul(sign)
	}
	if p.take("(") {
		d := p.dim()
		p.expect(")")
		return d.Mul(sign)
	}
	name := p.symbol()
	if name == "" {
		p.fail("got %s, want an extent", excerpt(p.rest()))
		return Dim{}
	}
	if !p.take("(") {
		return Sym(name).Mul(sign)
	}
	if name == "unknown" {
		hash := p.run(digitBytes + "abcdef")
		p.expect(")")
		return unknownOf(hash).Mul(sign)
	}
	a := p.dim()
	if name == "floor" {
		p.expect("/")
	} else {
		p.expect(",")
	}
	b := p.dim()
	p.expect(")")
	switch name {
	case "floor":
		return a.Div(b).Mul(sign)
	case "mod":
		return a.Mod(b).Mul(sign)
	case "min":
		return a.Min(b).Mul(sign)
	case "max":
		return a.Max(b).Mul(sign)
	}
	p.fail("%q is no function of dims", name)
	return Dim{}
}

func (p *parser) typ() (t Type) {
	defer p.nest()()
	begin := p.pos
	name := p.symbol()
	switch name {
	case "sequence", "optional":
		t.Kind = SequenceKind
		if name == "optional" {
			t.Kind = OptionalKind
		}
		if p.take("(") {
			e := p.typ()
			t.Elem = &e
			p.expect(")")
		}
	default:
		d, ok := ParseDType(name)
		if !ok && name != Undefined.String() {
			p.pos = begin
			p.fail("got %s, want a type", excerpt(p.rest()))
		}
		t.DType = d
		p.expect("[")
		if p.take("?") {
			p.expect("]")
		} else {
			t.Shape = Shape{}
			p.list("]", func() { t.Shape = append(t.Shape, p.dim()) })
		}
	}
	if p.take("@") {
		t.Space = Space(p.name(nameBytes + ":"))
	}
	return t
}
