package chat

import (
	"slices"
	"strconv"
)

// The grammar of expressions is Jinja's (jinja2/parser.py), a method a level, the loosest first.

// tuple reads one expression, or several with commas between them, which make a list.
func (p *parser) tuple(one func() expr) expr {
	x := one()
	if p.peek().text != "," || p.peek().kind != signToken {
		return x
	}
	all := []expr{x}
	for p.accept(",") {
		if t := p.peek(); t.kind == endOfTag || t.kind == signToken && (t.text == ")" || t.text == "=") {
			break
		}
		all = append(all, one())
	}
	return listOf(all)
}

// condition is A if B else C.
func (p *parser) condition() expr {
	x := p.or()
	for p.accept("if") {
		value, test, other := x, p.or(), expr(nil)
		if p.accept("else") {
			other = p.condition()
		}
		x = func(r *rendering) any {
			switch {
			case truth(test(r)):
				return value(r)
			case other != nil:
				return other(r)
			}
			return undefined{"the value of a condition without else"}
		}
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.accept("or") {
		left, right := x, p.and()
		x = func(r *rendering) any {
			if v := left(r); truth(v) {
				return v
			}
			return right(r)
		}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.accept("and") {
		left, right := x, p.not()
		x = func(r *rendering) any {
			if v := left(r); !truth(v) {
				return v
			}
			return right(r)
		}
	}
	return x
}

func (p *parser) not() expr {
	if p.accept("not") {
		x := p.not()
		return func(r *rendering) any { return !truth(x(r)) }
	}
	return p.comparison()
}

// comparison is A < B <= C and its like: each pair must hold.
func (p *parser) comparison() expr {
	type pair struct {
		operator string
		right    expr
	}
	first := p.binary(p.join, "+", "-")
	var pairs []pair
	for {
		t := p.peek()
		operator := t.text
		switch {
		case t.kind == signToken && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, operator), t.kind == nameToken && operator == "in":
			p.read()
		case t.kind == nameToken && operator == "not" && p.words[1].kind == nameToken && p.words[1].text == "in":
			p.read()
			p.read()
			operator = "not in"
		case len(pairs) == 0:
			return first
		default:
			return func(r *rendering) any {
				left := first(r)
				for _, pair := range pairs {
					right := pair.right(r)
					if !r.compare(pair.operator, left, right) {
						return false
					}
					left = right
				}
				return true
			}
		}
		pairs = append(pairs, pair{operator, p.binary(p.join, "+", "-")})
	}
}

// binary is A + B - C and its like, from left to right.
func (p *parser) binary(operand func() expr, operators ...string) expr {
	x := operand()
	for {
		t := p.peek()
		if t.kind != signToken || !slices.Contains(operators, t.text) {
			return x
		}
		p.read()
		left, right := x, operand()
		x = func(r *rendering) any { return r.compute(t.text, left(r), right(r)) }
	}
}

// join is A ~ B: both as text.
func (p *parser) join() expr {
	x := p.product()
	for p.accept("~") {
		left, right := x, p.product()
		x = func(r *rendering) any {
			a := r.text(left(r))
			return r.joined(a, r.text(right(r)))
		}
	}
	return x
}

func (p *parser) product() expr { return p.binary(p.unary, "*", "/", "//", "%", "**") }

func (p *parser) unary() expr { return p.filtered(p.signed()) }

// signed is a value with its signs, which bind tighter than filters.
func (p *parser) signed() expr {
	if p.accept("-") {
		x := p.signed()
		return func(r *rendering) any {
			v := x(r)
			if f, ok := v.(float64); ok {
				return -f
			}
			return r.compute("-", 0, v)
		}
	}
	if p.accept("+") {
		x := p.signed()
		return func(r *rendering) any { return r.compute("+", 0, x(r)) }
	}
	return p.followed(p.primary())
}

func (p *parser) primary() expr {
	t := p.read()
	switch t.kind {
	case textToken:
		text := t.text
		for p.peek().kind == textToken { // as in Python
			text += p.read().text
		}
		return constant(text)
	case intToken:
		n, err := strconv.Atoi(t.text)
		if err != nil {
			halt(ErrUnsupported, "the number %s", t.text)
		}
		return constant(n)
	case floatToken:
		x, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			halt(ErrUnsupported, "the number %s", t.text)
		}
		return constant(x)
	case nameToken:
		switch t.text {
		case "true", "True":
			return constant(true)
		case "false", "False":
			return constant(false)
		case "none", "None":
			return constant(nil)
		case "and", "or", "not", "if", "else", "in", "is":
		default:
			return func(r *rendering) any { return r.get(t.text) }
		}
	case signToken:
		switch t.text {
		case "(":
			if p.accept(")") {
				return constant(list{})
			}
			x := p.tuple(p.condition)
			p.expect(")")
			return x
		case "[":
			var items []expr
			p.each("]", func() { items = append(items, p.condition()) })
			return listOf(items)
		case "{":
			return p.mapping()
		}
	}
	halt(ErrMalformed, "a value wanted, found %q", t.text)
	return nil
}

func constant(v any) expr { return func(*rendering) any { return v } }

func listOf(items []expr) expr {
	return func(r *rendering) any {
		r.take(1, 16*len(items))
		out := make(list, len(items))
		for i, x := range items {
			out[i] = x(r)
		}
		return out
	}
}

// mapping is {KEY: VALUE}.
func (p *parser) mapping() expr {
	var keys, values []expr
	p.each("}", func() {
		keys = append(keys, p.condition())
		p.expect(":")
		values = append(values, p.condition())
	})
	return func(r *rendering) any {
		r.take(1, 32*len(keys))
		out := make(dict, 0, len(keys))
		for i := range keys {
			out = out.with(hashable(keys[i](r)), values[i](r))
		}
		return out
	}
}

// each reads things with commas between them up to a closing bracket. A comma may stand before it.
func (p *parser) each(closing string, one func()) {
	for !p.accept(closing) {
		one()
		if !p.accept(",") {
			p.expect(closing)
			return
		}
	}
}

// followed reads what follows a value directly: .NAME, [INDEX], [FROM:TO:STEP], (ARGUMENTS).
func (p *parser) followed(x expr) expr {
	for {
		of, pos := x, p.peek().pos
		switch {
		case p.accept("."):
			t := p.read()
			switch t.kind {
			case nameToken:
				x = func(r *rendering) any { return r.attribute(of(r), t.text) }
			case intToken:
				i, _ := strconv.Atoi(t.text)
				x = func(r *rendering) any { return r.item(of(r), i) }
			default:
				halt(ErrMalformed, "a name wanted, found %q", t.text)
			}
		case p.accept("["):
			x = p.index(of)
		case p.accept("("):
			x = p.call(of, pos)
		default:
			return x
		}
	}
}

// call reads the arguments of a call of what stands before.
func (p *parser) call(of expr, pos int) expr {
	arguments := p.arguments()
	return func(r *rendering) any {
		f := of(r)
		a := arguments(r)
		r.step(pos)
		return r.call(f, a)
	}
}

func (p *parser) index(of expr) expr {
	var bounds [3]expr
	parts := 0
	for i := range bounds {
		if t := p.peek(); t.kind != signToken || t.text != ":" && t.text != "]" {
			bounds[i] = p.condition()
		}
		if parts++; !p.accept(":") {
			break
		}
	}
	p.expect("]")
	if parts == 1 {
		if bounds[0] == nil {
			halt(ErrMalformed, "an index wanted, found \"]\"")
		}
		return func(r *rendering) any {
			v := of(r)
			return r.item(v, bounds[0](r))
		}
	}
	return func(r *rendering) any {
		v := of(r)
		var at [3]any
		for i, x := range bounds {
			if x != nil {
				at[i] = x(r)
			}
		}
		return r.slice(v, at)
	}
}

// arguments reads what stands between the brackets of a call.
func (p *parser) arguments() func(*rendering) args {
	var values, named []expr
	var names []string
	p.each(")", func() {
		switch t := p.peek(); {
		case t.kind == signToken && (t.text == "*" || t.text == "**"):
			halt(ErrUnsupported, "%s before an argument", t.text)
		case t.kind == nameToken && p.words[1].kind == signToken && p.words[1].text == "=":
			p.read()
			p.read()
			names, named = append(names, t.text), append(named, p.condition())
		case len(names) > 0:
			halt(ErrMalformed, "an argument without a name behind one with it")
		default:
			values = append(values, p.condition())
		}
	})
	return func(r *rendering) args {
		a := args{list: make(list, len(values)), names: names, named: make(list, len(named))}
		for i, x := range values {
			a.list[i] = x(r)
		}
		for i, x := range named {
			a.named[i] = x(r)
		}
		return a
	}
}

// filtered reads the filters and tests behind a value.
func (p *parser) filtered(x expr) expr {
	none := func(*rendering) args { return args{} }
	for {
		of, pos := x, p.peek().pos
		switch {
		case p.accept("|"):
			f := filterOf(p.name("a filter's name"))
			arguments := none
			if p.accept("(") {
				arguments = p.arguments()
			}
			x = func(r *rendering) any {
				v := of(r)
				a := arguments(r)
				r.step(pos)
				return f(r, v, a)
			}
		case p.accept("is"):
			x = p.test(x, pos)
		case p.accept("("):
			x = p.call(of, pos)
		default:
			return x
		}
	}
}

// test reads what stands behind "is": a name, and its arguments in brackets, or one without them.
func (p *parser) test(of expr, pos int) expr {
	want := !p.accept("not")
	f := testOf(p.name("a test's name"))
	arguments := func(*rendering) args { return args{} }
	switch t := p.peek(); {
	case p.accept("("):
		arguments = p.arguments()
	case t.kind == nameToken && slices.Contains([]string{"else", "or", "and", "if", "in", "not"}, t.text):
	case t.kind == nameToken && t.text == "is":
		halt(ErrMalformed, "a test of a test")
	case t.kind == signToken && (t.text == "[" || t.text == "{"), t.kind != signToken && t.kind != endOfTag:
		x := p.followed(p.primary())
		arguments = func(r *rendering) args { return args{list: list{x(r)}} }
	}
	return func(r *rendering) any {
		v := of(r)
		a := arguments(r)
		r.step(pos)
		return f(r, v, a) == want
	}
}
