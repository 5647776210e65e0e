package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// methodOf is what templates may call of a value: Python's methods of texts that do not pad, and of mappings that do not
// change them. It is nil where v has no such method.
func methodOf(v any, name string) any {
	switch v := v.(type) {
	case string:
		if f := textMethod(name); f != nil {
			return function(func(r *rendering, a args) any { return f(r, v, a) })
		}
	case dict:
		if f := dictMethod(name); f != nil {
			return function(func(r *rendering, a args) any { return f(r, v, a) })
		}
	}
	return nil
}

func textMethod(name string) func(*rendering, string, args) any {
	switch name {
	case "split":
		return split
	case "replace":
		return replace
	case "strip":
		return func(r *rendering, s string, a args) any { return r.strip(s, a, true, true) }
	case "lstrip":
		return func(r *rendering, s string, a args) any { return r.strip(s, a, true, false) }
	case "rstrip":
		return func(r *rendering, s string, a args) any { return r.strip(s, a, false, true) }
	case "startswith":
		return func(r *rendering, s string, a args) any { return anyOf(a, s, strings.HasPrefix) }
	case "endswith":
		return func(r *rendering, s string, a args) any { return anyOf(a, s, strings.HasSuffix) }
	case "capitalize":
		return plainMethod(capitalize)
	case "lower":
		return plainMethod(strings.ToLower)
	case "title":
		return plainMethod(title)
	case "upper":
		return plainMethod(strings.ToUpper)
	}
	return nil
}

// plainMethod is a method without arguments that makes a text of about the same length.
func plainMethod(f func(string) string) func(*rendering, string, args) any {
	return func(r *rendering, s string, a args) any {
		a.bind("this method")
		r.grow(len(s))
		return f(s)
	}
}

func dictMethod(name string) func(*rendering, dict, args) any {
	switch name {
	case "get":
		return func(_ *rendering, d dict, a args) any {
			a2 := a.bind("get", "key", "default")
			if v, ok := d.get(hashable(a2[0])); ok {
				return v
			}
			if a2[1] == absent {
				return nil
			}
			return a2[1]
		}
	case "items":
		return func(r *rendering, d dict, a args) any {
			a.bind("items")
			return r.column(d, func(p pair) any { return list{p.key, p.value} })
		}
	case "keys":
		return func(r *rendering, d dict, a args) any {
			a.bind("keys")
			return r.column(d, func(p pair) any { return p.key })
		}
	case "values":
		return func(r *rendering, d dict, a args) any {
			a.bind("values")
			return r.column(d, func(p pair) any { return p.value })
		}
	}
	return nil
}

// anyOf says whether a text has the start or end that is the argument, or one of those in it.
func anyOf(a args, s string, has func(s, part string) bool) bool {
	parts, ok := a.bind("this method", "part")[0].(list)
	if !ok {
		parts = a.list
	}
	for _, part := range parts {
		text, ok := part.(string)
		if !ok {
			halt(ErrMalformed, "a text wanted, found %s", typeOf(part))
		}
		if has(s, text) {
			return true
		}
	}
	return false
}

// strip is str.strip(chars), or one end of it. Without chars, what Python calls space goes.
func (r *rendering) strip(s string, a args, left, right bool) string {
	drop := isSpace
	if chars := a.bind("strip", "chars")[0]; chars != absent && chars != nil {
		set := r.text(chars)
		drop = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}

// split is str.split(sep, maxsplit), its parts counted before they are made.
func split(r *rendering, s string, a args) any {
	bound := a.bind("split", "sep", "maxsplit")
	most := -1
	if bound[1] != absent {
		most = integer(bound[1], "split")
	}
	out := list{}
	if bound[0] != absent && bound[0] != nil {
		sep := r.text(bound[0])
		if sep == "" {
			halt(ErrMalformed, "split by an empty text")
		}
		for {
			r.take(1, 16)
			before, after, found := strings.Cut(s, sep)
			if !found || most >= 0 && len(out) == most {
				return append(out, s)
			}
			out, s = append(out, before), after
		}
	}
	for {
		if s = strings.TrimLeftFunc(s, isSpace); s == "" {
			return out
		}
		r.take(1, 16)
		end := strings.IndexFunc(s, isSpace)
		if end < 0 {
			return append(out, s)
		}
		if most >= 0 && len(out) == most {
			return append(out, s)
		}
		out, s = append(out, s[:end]), s[end:]
	}
}

// replace is str.replace(old, new, count), its result measured before it is made.
func replace(r *rendering, s string, a args) any {
	bound := a.bind("replace", "old", "new", "count")
	if bound[1] == absent {
		halt(ErrMalformed, "replace wants an old and a new text")
	}
	old, text, n := r.text(bound[0]), r.text(bound[1]), -1
	if bound[2] != absent && bound[2] != nil {
		n = integer(bound[2], "replace")
	}
	times := strings.Count(s, old)
	if n >= 0 {
		times = min(times, n)
	}
	r.grow(len(s) + product(times, len(text)) - times*min(len(old), len(text)))
	return strings.Replace(s, old, text, n)
}

// capitalize is str.capitalize().
func capitalize(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 || first == utf8.RuneError {
		return strings.ToLower(s)
	}
	return string(unicode.ToTitle(first)) + strings.ToLower(s[n:])
}

// title is str.title(): a capital behind each character that is no letter.
func title(s string) string {
	inWord := false
	return strings.Map(func(c rune) rune {
		behind := inWord
		if inWord = unicode.IsLetter(c); behind {
			return unicode.ToLower(c)
		}
		return unicode.ToTitle(c)
	}, s)
}
