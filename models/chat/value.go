package chat

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a template works with: nil for none, bool, int, float64, string, and these. Like transformers' sandbox, nothing
// but a namespace can be changed once it is there.
type (
	undefined struct{ what string } // what has no value: the words for it
	list      []any                 // tuples too
	dict      []pair                // in the order of its making; its keys are unlike
	namespace struct{ fields dict }
	function  func(*rendering, args) any
)

type pair struct{ key, value any }

// absent is an argument that was not given.
var absent any = undefined{"an argument"}

// get is the value of a key.
func (d dict) get(key any) (any, bool) {
	for _, p := range d {
		if sameKey(p.key, key) {
			return p.value, true
		}
	}
	return nil, false
}

// with is d with another value of a key. It may change d.
func (d dict) with(key, value any) dict {
	for i, p := range d {
		if sameKey(p.key, key) {
			d[i].value = value
			return d
		}
	}
	return append(d, pair{key, value})
}

// hashable checks that v may be a key.
func hashable(v any) any {
	switch v.(type) {
	case nil, bool, int, float64, string:
		return v
	}
	halt(ErrMalformed, "%s as a key", typeOf(v))
	return nil
}

func sameKey(a, b any) bool {
	if x, ok := asNumber(a); ok {
		y, ok := asNumber(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && a == s
	}
	return false
}

// defined checks that v has a value.
func defined(v any) {
	if u, ok := v.(undefined); ok {
		halt(ErrMalformed, "%s is undefined", u.what)
	}
}

// truth is bool(v).
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case list:
		return len(v) > 0
	case dict:
		return len(v) > 0
	}
	return true
}

// typeOf names the type of v for messages.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case undefined:
		return v.what + ", which is undefined,"
	case bool:
		return "a truth value"
	case int, float64:
		return "a number"
	case string:
		return "a text"
	case list:
		return "a list"
	case dict:
		return "a mapping"
	case *namespace:
		return "a namespace"
	case *loop:
		return "a loop"
	}
	return "a function"
}

// asNumber is v as a number, where it is one; Python counts truth values.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	case bool:
		return float64(asInt(v)), true
	}
	return 0, false
}

func asInt(v bool) int {
	if v {
		return 1
	}
	return 0
}

// integer is v as an integer, for what.
func integer(v any, what string) int {
	switch v := v.(type) {
	case int:
		return v
	case bool:
		return asInt(v)
	}
	halt(ErrMalformed, "%s: an integer wanted, found %s", what, typeOf(v))
	return 0
}

// text is v as a template prints it. A list or a mapping is refused: Python would print its own notation, which is a prompt
// nobody meant; it happens where a template made for plain text gets a picture.
func (r *rendering) text(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case undefined:
		return ""
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int:
		return strconv.Itoa(v)
	case float64:
		return float(v)
	case string:
		return v
	}
	halt(ErrUnsupported, "text wanted, found %s (has this template no place for pictures?)", typeOf(v))
	return ""
}

// float is repr(x).
func float(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 0):
		return strings.TrimPrefix(strings.ToLower(fmt.Sprint(x)), "+")
	}
	s := strconv.FormatFloat(x, 'e', -1, 64)
	if _, exponent, _ := strings.Cut(s, "e"); len(exponent) == 3 {
		if n, _ := strconv.Atoi(exponent); n >= -4 && n < 16 {
			if s = strconv.FormatFloat(x, 'f', -1, 64); !strings.Contains(s, ".") {
				s += ".0"
			}
		}
	}
	return s
}

// items is what a loop goes over: the items of a list, the keys of a mapping, the characters of a text.
func (r *rendering) items(v any) list {
	switch v := v.(type) {
	case undefined:
		return nil
	case list:
		return v
	case dict:
		return r.column(v, func(p pair) any { return p.key })
	case string:
		n := utf8.RuneCountInString(v)
		r.take(n, 16*n)
		out := make(list, 0, n)
		for len(v) > 0 {
			_, n := utf8.DecodeRuneInString(v)
			out, v = append(out, v[:n]), v[n:]
		}
		return out
	}
	halt(ErrMalformed, "a list, a mapping or a text wanted, found %s", typeOf(v))
	return nil
}

// column is something of each member of a mapping.
func (r *rendering) column(d dict, of func(pair) any) list {
	r.take(len(d), 16*len(d))
	out := make(list, len(d))
	for i, p := range d {
		out[i] = of(p)
	}
	return out
}

// length is len(v).
func length(v any) int {
	switch v := v.(type) {
	case undefined:
		return 0
	case string:
		return utf8.RuneCountInString(v)
	case list:
		return len(v)
	case dict:
		return len(v)
	}
	halt(ErrMalformed, "the length of %s", typeOf(v))
	return 0
}

// attribute is v.NAME: a method, a member of a mapping, a field.
func (r *rendering) attribute(v any, name string) any {
	if f := methodOf(v, name); f != nil {
		return f
	}
	return r.member(v, name)
}

// item is v[KEY].
func (r *rendering) item(v, key any) any {
	if name, ok := key.(string); ok {
		if d, ok := v.(dict); ok {
			if value, ok := d.get(name); ok {
				return value
			}
		}
		return r.attribute(v, name)
	}
	return r.member(v, key)
}

// member is the value that v has for a key, or undefined.
func (r *rendering) member(v, key any) any {
	at, isIndex := key.(int)
	name, isName := key.(string)
	defined(v)
	switch v := v.(type) {
	case dict:
		if value, ok := v.get(key); ok {
			return value
		}
	case *namespace:
		if value, ok := v.fields.get(key); ok {
			return value
		}
	case *loop:
		if isName {
			return v.field(name)
		}
	case list:
		if at < 0 {
			at += len(v)
		}
		if isIndex && at >= 0 && at < len(v) {
			return v[at]
		}
	case string:
		if chars := r.items(v); isIndex {
			return r.member(chars, at)
		}
	}
	if isName {
		return undefined{fmt.Sprintf("%q of %s", name, typeOf(v))}
	}
	return undefined{"an item of " + typeOf(v)}
}

// slice is v[FROM:TO:STEP], as Python counts.
func (r *rendering) slice(v any, bounds [3]any) any {
	var items list
	s, isText := v.(string)
	defined(v)
	switch v := v.(type) {
	case list:
		items = v
	case string:
		items = r.items(v)
	default:
		halt(ErrMalformed, "a slice of %s", typeOf(v))
	}
	n, step := len(items), 1
	if bounds[2] != nil {
		step = integer(bounds[2], "a slice's step")
	}
	lowest, highest := 0, n // where the ends may lie
	if step < 0 {
		lowest, highest = -1, n-1
	}
	from, to := lowest, highest
	if step < 0 {
		from, to = highest, lowest
	}
	for i, end := range []*int{&from, &to} {
		if bounds[i] == nil {
			continue
		}
		at := integer(bounds[i], "a slice's end")
		if at < 0 {
			at += n
		}
		*end = min(max(at, lowest), highest)
	}
	if step == 0 {
		halt(ErrMalformed, "a slice with a step of 0")
	}
	r.take(n, 16*n)
	out := list{}
	// A step beyond the length is one item; so i cannot overflow.
	step = min(max(step, -n-1), n+1)
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, items[i])
	}
	if !isText {
		return out
	}
	r.grow(len(s))
	var text strings.Builder
	for _, c := range out {
		text.WriteString(c.(string))
	}
	return text.String()
}
