package chat

import "slices"

// Limits of a template's text. The longest published chat templates have some 20 KiB.
const (
	maxSource = 128 << 10
	maxWords  = 256 // words in one tag
	maxDepth  = 32  // brackets within brackets
	maxBlocks = 64  // if, for, set, macro within each other
)

// stmt is a parsed text or tag, ready to run; expr is a parsed expression.
type (
	stmt func(*rendering) flow
	expr func(*rendering) any
)

// flow is how a statement ends: the next one runs, or a loop's turn or the loop is over.
type flow int

const (
	goOn flow = iota
	nextTurn
	leaveLoop
)

// parser makes functions of a template's tags as it reads them. It halts at what Jinja would refuse and at tags, filters
// and tests that are not here, so that these are found before the first conversation.
type parser struct {
	lexer
	words  []token // of the tag that is read, from the next one on
	blocks int     // that are open
	loops  int     // of these, since the last macro
}

// all reads a whole template.
func (p *parser) all() []stmt {
	body, _ := p.body()
	return body
}

// body reads up to a tag with one of these names, and returns the name. Without names it reads to the end.
func (p *parser) body(ends ...string) (body []stmt, end string) {
	if p.blocks++; p.blocks > maxBlocks {
		halt(ErrLimit, "more than %d tags within each other", maxBlocks)
	}
	defer func() { p.blocks-- }()
	from := p.at
	for {
		s := p.next()
		if s.text != "" {
			body = append(body, func(r *rendering) flow { r.step(s.pos); r.write(s.text); return goOn })
		}
		p.words = s.words
		switch s.tag {
		case "":
			if p.at = from; len(ends) > 0 {
				halt(ErrMalformed, "%s is missing", ends[len(ends)-1])
			}
			return body, ""
		case "{{":
			x := p.tuple(p.condition)
			p.done()
			body = append(body, func(r *rendering) flow { r.step(s.at); r.write(r.text(x(r))); return goOn })
		case "{%":
			tag := p.name("a tag's name")
			if slices.Contains(ends, tag) {
				return body, tag
			}
			run := p.statement(tag)
			body = append(body, func(r *rendering) flow { r.step(s.at); return run(r) })
		}
	}
}

// statement reads the tag behind its name, and what belongs to it up to the tag that ends it. Tags that read other
// templates (include, import, extends) are not here. generation marks the assistant's words for training, and does nothing.
func (p *parser) statement(tag string) stmt {
	switch tag {
	case "if":
		return p.parseIf()
	case "for":
		return p.parseFor()
	case "set":
		return p.parseSet()
	case "macro":
		return p.parseMacro()
	case "generation":
		p.done()
		body, _ := p.body("endgeneration")
		p.done()
		return func(r *rendering) flow { return r.all(body) }
	case "break", "continue":
		if p.done(); p.loops == 0 {
			halt(ErrMalformed, "%s outside of a loop", tag)
		}
		how := nextTurn
		if tag == "break" {
			how = leaveLoop
		}
		return func(*rendering) flow { return how }
	case "elif", "else", "endif", "endfor", "endset", "endmacro", "endgeneration":
		halt(ErrMalformed, "unexpected tag %q", tag)
	}
	halt(ErrUnsupported, "tag %q", tag)
	return nil
}

func (p *parser) parseIf() stmt {
	test := p.tuple(p.or)
	p.done()
	body, end := p.body("elif", "else", "endif")
	var other stmt
	switch end {
	case "elif":
		other = p.parseIf()
	case "else":
		p.done()
		rest, _ := p.body("endif")
		other = func(r *rendering) flow { return r.all(rest) }
		p.done()
	default:
		p.done()
	}
	return func(r *rendering) flow {
		switch {
		case truth(test(r)):
			return r.all(body)
		case other != nil:
			r.take(1, 0)
			return other(r)
		}
		return goOn
	}
}

// parseSet reads {% set NAME = VALUE %} or {% set NAME %} BODY {% endset %}, where NAME may be a field of a namespace.
func (p *parser) parseSet() stmt {
	name, field := p.name("the name of a variable"), ""
	if p.accept(".") {
		field = p.name("the name of a field")
	}
	var value expr
	if p.accept("=") {
		value = p.tuple(p.condition)
		p.done()
	} else {
		p.done()
		body, _ := p.body("endset")
		p.done()
		value = func(r *rendering) any { return r.aside(body) }
	}
	return func(r *rendering) flow {
		v := value(r)
		if field == "" {
			r.set(name, v)
			return goOn
		}
		ns, ok := r.get(name).(*namespace)
		if !ok {
			halt(ErrMalformed, "%s.%s is set, but %s is no namespace", name, field, name)
		}
		ns.fields = ns.fields.with(field, v)
		return goOn
	}
}

// peek is the word that comes next.
func (p *parser) peek() token {
	t := p.words[0]
	p.at = t.pos
	return t
}

// read reads the next word.
func (p *parser) read() token {
	t := p.peek()
	if t.kind != endOfTag {
		p.words = p.words[1:]
	}
	return t
}

// accept reads a sign or a word of the language, if it comes next.
func (p *parser) accept(text string) bool {
	t := p.peek()
	if (t.kind != signToken && t.kind != nameToken) || t.text != text {
		return false
	}
	p.read()
	return true
}

// expect reads a sign or a word of the language.
func (p *parser) expect(text string) {
	if !p.accept(text) {
		halt(ErrMalformed, "%q wanted, found %q", text, p.peek().text)
	}
}

// name reads a name, which is what.
func (p *parser) name(what string) string {
	t := p.read()
	if t.kind != nameToken {
		halt(ErrMalformed, "%s wanted, found %q", what, t.text)
	}
	return t.text
}

// done checks that the tag ends here.
func (p *parser) done() {
	if t := p.peek(); t.kind != endOfTag {
		halt(ErrMalformed, "the end of the tag wanted, found %q", t.text)
	}
}
