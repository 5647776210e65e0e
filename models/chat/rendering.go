package chat

import (
	"strings"
	"time"
)

// rendering is a template as it runs.
type rendering struct {
	meter
	now   time.Time // for strftime_now
	out   *strings.Builder
	scope *scope
	calls int // of macros within each other
}

// scope is the variables of a loop's turn, of a block or of a macro, over those around it.
type scope struct {
	vars   map[string]any
	around *scope
}

func (r *rendering) get(name string) any {
	for s := r.scope; s != nil; s = s.around {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	if f := functionOf(name); f != nil {
		return f
	}
	return undefined{name}
}

func (r *rendering) set(name string, v any) {
	if r.scope.vars == nil {
		r.scope.vars = map[string]any{}
	}
	r.take(0, 16)
	r.scope.vars[name] = v
}

// all runs statements one by one.
func (r *rendering) all(body []stmt) flow {
	for _, run := range body {
		if how := run(r); how != goOn {
			return how
		}
	}
	return goOn
}

// within runs f in a scope of its own.
func (r *rendering) within(f func() flow) flow {
	around := r.scope
	r.scope = &scope{around: around}
	how := f()
	r.scope = around
	return how
}

// aside runs statements and returns what they print.
func (r *rendering) aside(body []stmt) string {
	out := r.out
	r.out = &strings.Builder{}
	r.within(func() flow { return r.all(body) })
	text := r.out.String()
	r.out = out
	return text
}

// write prints.
func (r *rendering) write(s string) {
	r.take(0, len(s))
	if r.out.Len()+len(s) > maxOutput {
		halt(ErrLimit, "more than %d bytes of output", maxOutput)
	}
	r.out.WriteString(s)
}
