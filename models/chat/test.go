package chat

import (
	"strings"
	"unicode"
)

// test is what V is NAME(ARGUMENTS) asks.
type test func(r *rendering, v any, a args) bool

// testOf is Jinja's tests. It halts at others.
func testOf(name string) test {
	switch name {
	case "==", "eq", "equalto":
		return comparing("==")
	case "!=", "ne":
		return comparing("!=")
	case ">", "greaterthan", "gt":
		return comparing(">")
	case ">=", "ge":
		return comparing(">=")
	case "<", "lessthan", "lt":
		return comparing("<")
	case "<=", "le":
		return comparing("<=")
	case "in":
		return comparing("in")
	case "divisibleby":
		return func(r *rendering, v any, a args) bool {
			return !truth(r.compute("%", v, a.bind("divisibleby", "num")[0]))
		}
	case "even":
		return func(r *rendering, v any, _ args) bool { return !truth(r.compute("%", v, 2)) }
	case "odd":
		return func(r *rendering, v any, _ args) bool { return r.equal(r.compute("%", v, 2), 1, 1) }
	case "lower":
		return func(r *rendering, v any, _ args) bool { return cased(r.text(v), unicode.IsLower, unicode.IsUpper) }
	case "upper":
		return func(r *rendering, v any, _ args) bool { return cased(r.text(v), unicode.IsUpper, unicode.IsLower) }
	}
	is := typeTest(name)
	if is == nil {
		halt(ErrUnsupported, "test %q", name)
	}
	return func(_ *rendering, v any, _ args) bool { return is(v) }
}

func comparing(operator string) test {
	return func(r *rendering, v any, a args) bool { return r.compare(operator, v, a.bind("this test", "other")[0]) }
}

// cased says whether a text has letters of one case, and none of the other.
func cased(s string, want, other func(rune) bool) bool {
	return strings.ContainsFunc(s, want) && !strings.ContainsFunc(s, other)
}

func typeTest(name string) func(any) bool {
	switch name {
	case "boolean":
		return isType[bool]
	case "callable":
		return isType[function]
	case "defined":
		return func(v any) bool { return !isType[undefined](v) }
	case "undefined":
		return isType[undefined]
	case "true":
		return func(v any) bool { return v == true }
	case "false":
		return func(v any) bool { return v == false }
	case "none":
		return func(v any) bool { return v == nil }
	case "string":
		return isType[string]
	case "integer":
		return isType[int]
	case "float":
		return isType[float64]
	case "number":
		return func(v any) bool { _, ok := asNumber(v); return ok }
	case "mapping":
		return isType[dict]
	case "iterable", "sequence":
		return func(v any) bool {
			return isType[undefined](v) || isType[string](v) || isType[list](v) || isType[dict](v)
		}
	}
	return nil
}

func isType[T any](v any) bool { _, ok := v.(T); return ok }
