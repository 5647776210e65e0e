package chat

// maxCalls is how many macros may run within each other: a Go stack that overflows cannot be recovered.
const maxCalls = 16

func (p *parser) parseMacro() stmt {
	name := p.name("the name of a macro")
	var params []string
	var defaults []expr // nil: none
	p.expect("(")
	for !p.accept(")") {
		if len(params) > 0 {
			p.expect(",")
		}
		params = append(params, p.name("the name of an argument"))
		var value expr
		if p.accept("=") {
			value = p.condition()
		} else if len(defaults) > 0 && defaults[len(defaults)-1] != nil {
			halt(ErrMalformed, "an argument without a default behind one with it")
		}
		defaults = append(defaults, value)
	}
	p.done()
	loops := p.loops
	p.loops = 0
	body, _ := p.body("endmacro")
	p.loops = loops
	p.done()
	return func(r *rendering) flow {
		around := r.scope
		r.set(name, function(func(r *rendering, a args) any {
			if r.calls++; r.calls > maxCalls {
				halt(ErrLimit, "macro %s: more than %d macros within each other", name, maxCalls)
			}
			caller, pos := r.scope, r.pos
			r.scope = &scope{around: around}
			for i, v := range a.bind("macro "+name, params...) {
				if v == absent && defaults[i] != nil {
					v = defaults[i](r)
				}
				if v == absent {
					v = undefined{params[i]}
				}
				r.set(params[i], v)
			}
			text := r.aside(body)
			r.scope, r.pos = caller, pos
			r.calls--
			return text
		}))
		return goOn
	}
}
