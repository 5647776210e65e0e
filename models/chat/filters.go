package chat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// newFilters has gonja's filters whose result is no bigger than what goes in, own ones where gonja's is not Jinja's or
// not bounded, and four that no template can name: the meter's.
func newFilters() *exec.FilterSet {
	filters := map[string]exec.FilterFunction{
		"as text": asText, "each item": eachItem, "one step": oneStep, "a name": aName,
		"string": asText,
		"list":   eachItem,
		"tojson": toJSON,
		"join":   join,
		"items":  func(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value { return exec.AsValue(items(in)) },
		"replace": func(_ *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
			return exec.AsValue(replace(in.String(), args))
		},
		"trim": func(_ *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
			return exec.AsValue(strip(in.String(), args, true, true))
		},
		"reverse": func(e *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
			l := slices.Clone(eachItem(e, in, args).Interface().(list))
			slices.Reverse(l)
			return exec.AsValue(l)
		},
	}
	for _, name := range []string{
		"abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "int", "last", "length", "lower", "map", "reject",
		"rejectattr", "round", "safe", "select", "selectattr", "title", "upper",
	} {
		filter, _ := builtins.Filters.Get(name)
		filters[name] = func(e *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
			out := filter(e, in, args)
			meterOf(e.Environment.Context).weight(out)
			return out
		}
	}
	for name, filter := range filters {
		filters[name] = func(e *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
			if in.IsError() { // an attribute of what is undefined, say; gonja would wrap it at length, or take it for a value
				halt(ErrMalformed, "%s", cause(in))
			}
			return filter(e, in, args)
		}
	}
	return exec.NewFilterSet(filters)
}

// eachItem is what a loop goes over: the items of a list, the keys of a mapping, the characters of a text, one step each.
func eachItem(e *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	m := meterOf(e.Environment.Context)
	var out list
	switch {
	case in.IsNil(): // undefined
		return exec.AsValue(list{})
	case in.IsDict():
		m.take(in.Len(), 0)
		out = column(in, 0)
	case in.IsString():
		s := in.String()
		m.take(utf8.RuneCountInString(s), 0)
		for _, r := range s {
			out = append(out, string(r))
		}
	case in.IsList():
		m.take(in.Len(), 0)
		if l, ok := in.Interface().(list); ok {
			return exec.AsValue(l)
		}
		m.keep(in) // a literal, made for this loop
		for i := range in.Len() {
			out = append(out, in.Index(i).Interface())
		}
	default:
		halt(ErrMalformed, "a list, a mapping or a text wanted, found %s", in.String())
	}
	return exec.AsValue(out)
}

// oneStep passes the condition of a filtered loop, which gonja tries on each item before the first turn.
func oneStep(e *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	meterOf(e.Environment.Context).take(1, 0)
	return in
}

// aName counts what a macro's argument has when a call leaves it out.
func aName(e *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	meterOf(e.Environment.Context).keep(in)
	return in
}

// join is the texts of a list with one between them.
func join(e *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
	sep := args.First().String()
	if d, ok := args.KwArgs["d"]; ok {
		sep = d.String()
	}
	var out strings.Builder
	for i, item := range eachItem(e, in, args).Interface().(list) {
		if i > 0 {
			out.WriteString(sep)
		}
		text := asText(e, exec.ToValue(item), args).String()
		if out.Len()+len(text)+len(sep) > maxOutput {
			halt(ErrLimit, "join: a value of more than %d bytes", maxOutput)
		}
		out.WriteString(text)
	}
	return exec.AsValue(out.String())
}

// toJSON is transformers' tojson: json.dumps with ensure_ascii=False and, unlike Jinja's own, no HTML escapes.
func toJSON(e *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
	meterOf(e.Environment.Context).weight(in)
	w := jsonWriter{comma: ", ", indent: -1}
	if n, ok := args.KwArgs["indent"]; ok && n.IsInteger() {
		w.comma, w.indent = ",", min(max(n.Integer(), 0), 16)
	}
	w.value(in, 0)
	return exec.AsValue(w.out.String())
}

// jsonWriter writes as Python's json.dumps does.
type jsonWriter struct {
	out    strings.Builder
	comma  string
	indent int // blanks a level; negative: all on one line
}

func (w *jsonWriter) value(v *exec.Value, level int) {
	if w.out.Len() > maxOutput {
		halt(ErrLimit, "tojson: a value of more than %d bytes", maxOutput)
	}
	switch {
	case v.IsNil():
		w.out.WriteString("null")
	case v.IsBool():
		w.out.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsNumber():
		w.out.WriteString(v.String())
	case v.IsString():
		w.quote(v.String())
	case v.IsDict():
		all := items(v)
		w.all("{}", len(all), level, func(i int) {
			pair := all[i].(list)
			w.quote(exec.ToValue(pair[0]).String())
			w.out.WriteString(": ")
			w.value(exec.ToValue(pair[1]), level+1)
		})
	case v.IsList():
		w.all("[]", v.Len(), level, func(i int) { w.value(v.Index(i), level+1) })
	default:
		halt(ErrMalformed, "tojson of %s", v.String())
	}
}

// all writes n members between brackets.
func (w *jsonWriter) all(brackets string, n, level int, member func(i int)) {
	w.out.WriteByte(brackets[0])
	for i := range n {
		if i > 0 {
			w.out.WriteString(w.comma)
		}
		w.newline(level + 1)
		member(i)
	}
	if n > 0 {
		w.newline(level)
	}
	w.out.WriteByte(brackets[1])
}

func (w *jsonWriter) newline(level int) {
	if w.indent >= 0 {
		w.out.WriteString("\n" + strings.Repeat(" ", w.indent*level))
	}
}

func (w *jsonWriter) quote(s string) {
	w.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case r >= ' ':
			w.out.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			w.out.WriteByte('\\')
			w.out.WriteByte("btn_fr"[r-'\b'])
		default:
			fmt.Fprintf(&w.out, `\u%04x`, r)
		}
	}
	w.out.WriteByte('"')
}
