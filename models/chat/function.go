package chat

import "strings"

// args is what a call gives.
type args struct {
	list  list
	names []string // of the arguments with names
	named list
}

// bind puts arguments where their names say. One that is not given is absent; others than these are refused.
func (a args) bind(what string, params ...string) list {
	if len(a.list) > len(params) {
		halt(ErrMalformed, "%s: %d arguments, wanted at most %d", what, len(a.list), len(params))
	}
	out := make(list, len(params))
	for i := range out {
		out[i] = absent
	}
	copy(out, a.list)
	for i, name := range a.names {
		at := 0
		for at < len(params) && params[at] != name {
			at++
		}
		if at == len(params) || out[at] != absent {
			halt(ErrMalformed, "%s: unexpected argument %s", what, name)
		}
		out[at] = a.named[i]
	}
	return out
}

// call calls f.
func (r *rendering) call(f any, a args) any {
	if f, ok := f.(function); ok {
		return f(r, a)
	}
	defined(f)
	halt(ErrMalformed, "a call of %s", typeOf(f))
	return nil
}

// functionOf is what templates may call: Jinja's range and namespace, and what transformers adds.
func functionOf(name string) any {
	switch name {
	case "range":
		return function(rangeOf)
	case "namespace":
		return function(newNamespace)
	case "raise_exception":
		return function(raise)
	case "strftime_now":
		return function(strftimeNow)
	}
	return nil
}

// rangeOf is Python's range as a list, counted before it is made.
func rangeOf(r *rendering, a args) any {
	var n [3]int
	if len(a.list) == 0 || len(a.list) > len(n) || len(a.names) > 0 {
		halt(ErrMalformed, "range wants one to three integers")
	}
	for i, v := range a.list {
		n[i] = integer(v, "range")
	}
	start, end, step := n[0], n[1], n[2]
	switch len(a.list) {
	case 1:
		start, end, step = 0, start, 1
	case 2:
		step = 1
	}
	if step == 0 {
		halt(ErrMalformed, "range with a step of 0")
	}
	out := list{}
	for i := start; step > 0 && i < end || step < 0 && i > end; i += step {
		r.take(1, 16)
		out = append(out, i)
		if next := i + step; (next > i) != (step > 0) {
			break
		}
	}
	return out
}

func newNamespace(r *rendering, a args) any {
	ns := &namespace{}
	if len(a.list) > 0 {
		halt(ErrUnsupported, "namespace of an argument without a name")
	}
	for i, name := range a.names {
		r.take(1, 32)
		ns.fields = ns.fields.with(name, a.named[i])
	}
	return ns
}

// raise is raise_exception: the template refuses the conversation.
func raise(r *rendering, a args) any {
	halt(ErrRefused, "%s", r.text(a.bind("raise_exception", "message")[0]))
	return nil
}

// strftimeNow is datetime.now().strftime(format).
func strftimeNow(r *rendering, a args) any {
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'H': "15", 'I': "03", 'j': "002", 'm': "01",
		'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006",
	}
	var out strings.Builder
	for format := r.text(a.bind("strftime_now", "format")[0]); ; {
		before, after, found := strings.Cut(format, "%")
		out.WriteString(before)
		if !found {
			r.grow(out.Len())
			return out.String()
		}
		layout, known := layouts[(after + " ")[0]]
		switch {
		case known:
			out.WriteString(r.now.Format(layout))
		case strings.HasPrefix(after, "%"):
			out.WriteByte('%')
		default:
			halt(ErrUnsupported, "strftime_now: %%%.1s", after)
		}
		format = after[1:]
	}
}
