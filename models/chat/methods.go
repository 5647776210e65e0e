package chat

import (
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// newMethods has Python's methods of strings that do not pad, and those of mappings that do not change them: transformers
// runs templates in a sandbox of immutable values.
func newMethods() exec.Methods {
	str := map[string]exec.Method[string]{
		"split":   func(s string, _ *exec.Value, args *exec.VarArgs) (any, error) { return split(s, args), nil },
		"replace": func(s string, _ *exec.Value, args *exec.VarArgs) (any, error) { return replace(s, args), nil },
		"strip":   func(s string, _ *exec.Value, args *exec.VarArgs) (any, error) { return strip(s, args, true, true), nil },
		"lstrip": func(s string, _ *exec.Value, args *exec.VarArgs) (any, error) {
			return strip(s, args, true, false), nil
		},
		"rstrip": func(s string, _ *exec.Value, args *exec.VarArgs) (any, error) {
			return strip(s, args, false, true), nil
		},
	}
	for _, name := range []string{"capitalize", "endswith", "lower", "startswith", "title", "upper"} {
		str[name], _ = builtins.Methods.Str.Get(name)
	}
	dict := map[string]exec.Method[map[string]any]{
		"items":  func(_ map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) { return items(v), nil },
		"keys":   func(_ map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) { return column(v, 0), nil },
		"values": func(_ map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) { return column(v, 1), nil },
	}
	dict["get"], _ = builtins.Methods.Dict.Get("get")
	return exec.Methods{
		Str:   exec.NewMethodSet(str),
		Dict:  exec.NewMethodSet(dict),
		List:  exec.NewMethodSet(map[string]exec.Method[[]any]{}),
		Bool:  exec.NewMethodSet(map[string]exec.Method[bool]{}),
		Int:   exec.NewMethodSet(map[string]exec.Method[int]{}),
		Float: exec.NewMethodSet(map[string]exec.Method[float64]{}),
	}
}

// strip is str.strip(chars), or one end of it. Without chars, what Python calls space goes.
func strip(s string, args *exec.VarArgs, left, right bool) string {
	drop := func(r rune) bool { return unicode.IsSpace(r) || '\x1c' <= r && r <= '\x1f' }
	if chars := args.First(); !chars.IsNil() {
		drop = func(r rune) bool { return strings.ContainsRune(chars.String(), r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}

// maxParts is how many parts split may make: methods do not see the meter, and one tag may call many.
const maxParts = 1 << 14

// split is str.split(sep, maxsplit), its parts counted before they are made.
func split(s string, args *exec.VarArgs) list {
	sep, most := args.First(), -1
	if len(args.Args) > 1 {
		most = args.Args[1].Integer() + 1
	}
	var parts []string
	switch {
	case len(s) > maxParts && (sep.IsNil() || strings.Count(s, sep.String()) > maxParts):
		halt(ErrLimit, "split: a long text, or more than %d parts", maxParts)
	case sep.IsNil():
		parts = strings.Fields(s)
	case sep.String() == "":
		halt(ErrMalformed, "split by an empty text")
	default:
		parts = strings.SplitN(s, sep.String(), most)
	}
	out := make(list, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// replace is str.replace(old, new, count), its result measured before it is made.
func replace(s string, args *exec.VarArgs) string {
	if len(args.Args) < 2 {
		halt(ErrMalformed, "replace wants an old and a new text")
	}
	old, text, n := args.Args[0].String(), args.Args[1].String(), -1
	if len(args.Args) > 2 {
		n = args.Args[2].Integer()
	}
	times := strings.Count(s, old)
	if n >= 0 {
		times = min(times, n)
	}
	if len(s)+times*(len(text)-len(old)) > maxOutput {
		halt(ErrLimit, "replace: a value of more than %d bytes", maxOutput)
	}
	return strings.Replace(s, old, text, n)
}
