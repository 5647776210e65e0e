package chat

// loop is what a template sees of the loop that runs.
type loop struct {
	items list
	at    int
}

// field is an attribute of the variable loop.
func (l *loop) field(name string) any {
	n := len(l.items)
	switch name {
	case "index":
		return l.at + 1
	case "index0":
		return l.at
	case "revindex":
		return n - l.at
	case "revindex0":
		return n - l.at - 1
	case "first":
		return l.at == 0
	case "last":
		return l.at == n-1
	case "length":
		return n
	case "depth": // of recursive loops
		return 1
	case "depth0":
		return 0
	case "previtem":
		if l.at > 0 {
			return l.items[l.at-1]
		}
	case "nextitem":
		if l.at < n-1 {
			return l.items[l.at+1]
		}
	case "cycle":
		return function(func(_ *rendering, a args) any {
			if len(a.list) == 0 {
				halt(ErrMalformed, "cycle of nothing")
			}
			return a.list[l.at%len(a.list)]
		})
	}
	return undefined{"loop." + name}
}

func (p *parser) parseFor() stmt {
	targets := []string{p.name("the name of a variable")}
	for p.accept(",") {
		targets = append(targets, p.name("the name of a variable"))
	}
	p.expect("in")
	over := p.tuple(p.or)
	var test expr
	if p.accept("if") {
		test = p.condition()
	}
	if p.accept("recursive") {
		halt(ErrUnsupported, "recursive loop")
	}
	p.done()
	p.loops++
	body, end := p.body("else", "endfor")
	p.loops--
	var other []stmt
	if p.done(); end == "else" {
		other, _ = p.body("endfor")
		p.done()
	}
	return func(r *rendering) flow {
		items := r.items(over(r))
		if test != nil {
			items = r.chosen(items, targets, test)
		}
		l, whole := &loop{items: items}, false // whether a turn went to its end: as in Jinja, else waits for one
		for l.at = range items {
			r.take(1, 0)
			how := r.within(func() flow {
				r.set("loop", l)
				r.unpack(targets, items[l.at])
				return r.all(body)
			})
			if how == leaveLoop {
				break
			}
			whole = whole || how == goOn
		}
		if !whole {
			return r.all(other)
		}
		return goOn
	}
}

// chosen are the items that pass the condition of a loop.
func (r *rendering) chosen(items list, targets []string, test expr) list {
	var out list
	for _, item := range items {
		r.take(1, 16)
		r.within(func() flow {
			if r.unpack(targets, item); truth(test(r)) {
				out = append(out, item)
			}
			return goOn
		})
	}
	return out
}

// unpack names the item of a loop, or its parts.
func (r *rendering) unpack(targets []string, item any) {
	if len(targets) == 1 {
		r.set(targets[0], item)
		return
	}
	parts := r.items(item)
	if len(parts) != len(targets) {
		halt(ErrMalformed, "%d values for %d names", len(parts), len(targets))
	}
	for i, name := range targets {
		r.set(name, parts[i])
	}
}
