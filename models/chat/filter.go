package chat

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// filter is what V | NAME(ARGUMENTS) does.
type filter func(r *rendering, v any, a args) any

// filterOf is Jinja's filters that chat templates are made of, and transformers' tojson. It halts at others.
func filterOf(name string) filter {
	switch name {
	case "abs":
		return func(r *rendering, v any, _ args) any {
			if x, ok := asNumber(v); !ok || x >= 0 {
				return r.compute("+", 0, v)
			}
			return r.compute("-", 0, v)
		}
	case "capitalize":
		return plain(capitalize)
	case "count", "length":
		return func(_ *rendering, v any, _ args) any { return length(v) }
	case "d", "default":
		return defaulted
	case "e", "escape":
		return func(r *rendering, v any, _ args) any {
			s := r.text(v)
			r.grow(5 * len(s))
			return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(s)
		}
	case "first":
		return func(r *rendering, v any, _ args) any { return r.member(r.items(v), 0) }
	case "last":
		return func(r *rendering, v any, _ args) any { return r.member(r.items(v), -1) }
	case "float":
		return toFloat
	case "int":
		return toInt
	case "items":
		return func(r *rendering, v any, _ args) any {
			switch v := v.(type) {
			case undefined:
				return list{}
			case dict:
				return r.column(v, func(p pair) any { return list{p.key, p.value} })
			}
			halt(ErrMalformed, "the items of %s", typeOf(v))
			return nil
		}
	case "join":
		return join
	case "list":
		return func(r *rendering, v any, _ args) any { return append(list{}, r.items(v)...) }
	case "lower":
		return plain(strings.ToLower)
	case "map":
		return mapped
	case "reject", "rejectattr", "select", "selectattr":
		return func(r *rendering, v any, a args) any {
			return r.selected(v, a, strings.HasPrefix(name, "select"), strings.HasSuffix(name, "attr"))
		}
	case "replace":
		return func(r *rendering, v any, a args) any { return replace(r, r.text(v), a) }
	case "reverse":
		return func(r *rendering, v any, _ args) any {
			if _, ok := v.(string); ok {
				return r.slice(v, [3]any{nil, nil, -1})
			}
			return r.slice(r.items(v), [3]any{nil, nil, -1})
		}
	case "round":
		return round
	case "safe", "string":
		return func(r *rendering, v any, _ args) any { return r.text(v) }
	case "title":
		return plain(headline)
	case "tojson":
		return toJSON
	case "trim":
		return func(r *rendering, v any, a args) any { return r.strip(r.text(v), a, true, true) }
	case "upper":
		return plain(strings.ToUpper)
	}
	halt(ErrUnsupported, "filter %q", name)
	return nil
}

// plain is a filter that makes a text of about the same length.
func plain(f func(string) string) filter {
	return func(r *rendering, v any, _ args) any {
		s := r.text(v)
		r.grow(len(s))
		return f(s)
	}
}

// headline is Jinja's title: a capital behind a blank, a hyphen or an opening bracket, and no other.
func headline(s string) string {
	inWord := false
	return strings.Map(func(c rune) rune {
		behind := inWord
		if inWord = !isSpace(c) && !strings.ContainsRune("-({[<", c); behind {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

func defaulted(_ *rendering, v any, a args) any {
	bound := a.bind("default", "default_value", "boolean")
	if _, missing := v.(undefined); missing || truth(bound[1]) && !truth(v) {
		if bound[0] == absent {
			return ""
		}
		return bound[0]
	}
	return v
}

func toFloat(_ *rendering, v any, a args) any {
	defined(v)
	if x, ok := asNumber(v); ok {
		return x
	}
	if s, ok := v.(string); ok {
		if x, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64); err == nil {
			return x
		}
	}
	if other := a.bind("float", "default")[0]; other != absent {
		return other
	}
	return 0.0
}

func toInt(_ *rendering, v any, a args) any {
	defined(v)
	bound := a.bind("int", "default", "base")
	base := 10
	if bound[1] != absent {
		base = integer(bound[1], "int")
	}
	if s, ok := v.(string); ok {
		s = strings.TrimFunc(s, isSpace)
		if base != 10 && base >= 2 && base <= 36 {
			s = strings.TrimPrefix(strings.ToLower(s), map[int]string{2: "0b", 8: "0o", 16: "0x"}[base])
		} else if base != 10 {
			halt(ErrUnsupported, "int with base %d", base)
		}
		if n, err := strconv.ParseInt(s, base, 64); err == nil {
			return int(n)
		}
		if x, err := strconv.ParseFloat(s, 64); err == nil {
			v = x
		}
	}
	if x, ok := asNumber(v); ok && math.Abs(x) < 1<<62 {
		return int(x)
	}
	if bound[0] != absent {
		return bound[0]
	}
	return 0
}

// join is the texts of a list with one between them.
func join(r *rendering, v any, a args) any {
	bound := a.bind("join", "d", "attribute")
	sep := r.text(bound[0])
	var out strings.Builder
	for i, item := range r.items(v) {
		if bound[1] != absent {
			item = r.path(item, bound[1])
		}
		text := r.text(item)
		if i > 0 {
			text = r.joined(sep, text)
		}
		r.take(1, 0)
		r.grow(out.Len() + len(text))
		r.bytes -= out.Len()
		out.WriteString(text)
	}
	return out.String()
}

// path is the attribute of an item that a filter names: parts with dots between them.
func (r *rendering) path(v, attribute any) any {
	s, ok := attribute.(string)
	if !ok {
		return r.item(v, attribute)
	}
	for part := range strings.SplitSeq(s, ".") {
		if n, err := strconv.Atoi(part); err == nil {
			v = r.item(v, n)
		} else {
			v = r.item(v, part)
		}
	}
	return v
}

// mapped is map(attribute=NAME, default=VALUE) or map(FILTER, ARGUMENTS).
func mapped(r *rendering, v any, a args) any {
	var one func(any) any
	if len(a.list) == 0 {
		bound := args{names: a.names, named: a.named}.bind("map", "attribute", "default")
		one = func(item any) any {
			item = r.path(item, bound[0])
			if _, missing := item.(undefined); missing && bound[1] != absent {
				return bound[1]
			}
			return item
		}
	} else {
		f := filterOf(r.text(a.list[0]))
		a.list = a.list[1:]
		one = func(item any) any { return f(r, item, a) }
	}
	out := list{}
	if !truth(v) {
		return out
	}
	for _, item := range r.items(v) {
		r.take(1, 16)
		out = append(out, one(item))
	}
	return out
}

// selected is the items that pass a test, or that do not; of each the item is tested, or an attribute.
func (r *rendering) selected(v any, a args, want, attribute bool) any {
	of := func(item any) any { return item }
	if attribute {
		if len(a.list) == 0 {
			halt(ErrMalformed, "an attribute wanted")
		}
		path := a.list[0]
		of, a.list = func(item any) any { return r.path(item, path) }, a.list[1:]
	}
	passes := func(v any) bool { return truth(v) }
	if len(a.list) > 0 {
		f := testOf(r.text(a.list[0]))
		a.list = a.list[1:]
		passes = func(v any) bool { return f(r, v, a) }
	}
	out := list{}
	if !truth(v) {
		return out
	}
	for _, item := range r.items(v) {
		if r.take(1, 16); passes(of(item)) == want {
			out = append(out, item)
		}
	}
	return out
}

// round is round(v, precision), or up or down.
func round(r *rendering, v any, a args) any {
	bound := a.bind("round", "precision", "method")
	x, ok := asNumber(v)
	if !ok {
		halt(ErrMalformed, "round of %s", typeOf(v))
	}
	precision, method := 0, "common"
	if bound[0] != absent {
		precision = integer(bound[0], "round")
	}
	if bound[1] != absent {
		method = r.text(bound[1])
	}
	if precision < 0 || precision > 30 || !slices.Contains([]string{"common", "ceil", "floor"}, method) {
		halt(ErrUnsupported, "round to %d digits by %q", precision, method)
	}
	scale := math.Pow10(precision)
	switch method {
	case "ceil":
		return math.Ceil(x*scale) / scale
	case "floor":
		return math.Floor(x*scale) / scale
	}
	if _, whole := boolInt(v).(int); whole { // Python's round of an integer is an integer
		return boolInt(v)
	}
	out, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', precision, 64), 64)
	if err != nil {
		halt(ErrUnsupported, "round of %s", float(x))
	}
	return out
}
