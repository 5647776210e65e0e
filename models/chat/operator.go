package chat

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// compute is A + B and the other operators on numbers; texts and lists may be added, and multiplied by a number.
func (r *rendering) compute(operator string, a, b any) any {
	defined(a)
	defined(b)
	if operator == "+" {
		if s, ok := a.(string); ok {
			if t, ok := b.(string); ok {
				return r.joined(s, t)
			}
		}
		if l, ok := a.(list); ok {
			if m, ok := b.(list); ok {
				r.take(1, 16*(len(l)+len(m)))
				return append(append(make(list, 0, len(l)+len(m)), l...), m...)
			}
		}
	}
	if operator == "*" {
		if n, ok := boolInt(a).(int); ok {
			if out := r.repeated(b, n); out != nil {
				return out
			}
		}
		if n, ok := boolInt(b).(int); ok {
			if out := r.repeated(a, n); out != nil {
				return out
			}
		}
	}
	x, ok1 := asNumber(a)
	y, ok2 := asNumber(b)
	if !ok1 || !ok2 {
		if isType[string](a) && isType[list](b) || isType[list](a) && isType[string](b) {
			r.text(list{}) // a template made for plain text gets a picture
		}
		halt(ErrMalformed, "%s %s %s", typeOf(a), operator, typeOf(b))
	}
	i, ok1 := boolInt(a).(int)
	j, ok2 := boolInt(b).(int)
	if ok1 && ok2 && operator != "/" {
		return integers(operator, i, j)
	}
	switch operator {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		halt(ErrUnsupported, "operator %q", operator)
	}
	if y == 0 {
		halt(ErrMalformed, "a division by zero")
	}
	switch operator {
	case "/":
		return x / y
	case "//":
		return math.Floor(x / y)
	}
	m := math.Mod(x, y)
	if m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m
}

// repeated is a text or a list n times; nil for what cannot be repeated.
func (r *rendering) repeated(v any, n int) any {
	n = max(n, 0)
	switch v := v.(type) {
	case string:
		r.grow(product(len(v), n))
		return strings.Repeat(v, n)
	case list:
		r.take(1, product(16*len(v), n))
		return slices.Repeat(v, n)
	}
	return nil
}

// boolInt is a truth value as Python computes with it; anything else stays.
func boolInt(v any) any {
	if b, ok := v.(bool); ok {
		return asInt(b)
	}
	return v
}

// product is a·b, of numbers that are not negative, or the largest number.
func product(a, b int) int {
	high, low := bits.Mul(uint(a), uint(b))
	if high != 0 || low > math.MaxInt>>8 {
		return math.MaxInt >> 8
	}
	return int(low)
}

// integers computes with integers, which Python has of any length: one that is too long for an int is refused.
func integers(operator string, a, b int) int {
	const most = 1 << 53
	if max(a, -a, b, -b) > most || min(a, b) < -most {
		halt(ErrUnsupported, "a number beyond 2^53")
	}
	switch operator {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		if x := float64(a) * float64(b); math.Abs(x) > most {
			halt(ErrUnsupported, "a number beyond 2^53")
		}
		return a * b
	case "**":
		halt(ErrUnsupported, "operator %q", operator)
	}
	if b == 0 {
		halt(ErrMalformed, "a division by zero")
	}
	q, m := a/b, a%b
	if m != 0 && (m < 0) != (b < 0) {
		q, m = q-1, m+b
	}
	if operator == "//" {
		return q
	}
	return m
}

// joined is two texts one behind the other.
func (r *rendering) joined(a, b string) string {
	r.grow(len(a) + len(b))
	return a + b
}

// compare is A < B and the other comparisons.
func (r *rendering) compare(operator string, a, b any) bool {
	switch operator {
	case "==":
		return r.equal(a, b, maxNest)
	case "!=":
		return !r.equal(a, b, maxNest)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	}
	order := r.order(a, b, operator, maxNest)
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0 && order != unordered
	}
	return order >= 0 && order != unordered
}

// unordered is how a number that is none compares.
const unordered = 2

// order is below, at or above zero as a is below, equal to or above b.
func (r *rendering) order(a, b any, operator string, nest int) int {
	r.deeper(nest)
	x, ok1 := asNumber(a)
	y, ok2 := asNumber(b)
	if ok1 && ok2 {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		case x == y:
			return 0
		}
		return unordered
	}
	if s, ok := a.(string); ok {
		if t, ok := b.(string); ok {
			return strings.Compare(s, t)
		}
	}
	l, ok1 := a.(list)
	m, ok2 := b.(list)
	if !ok1 || !ok2 {
		halt(ErrMalformed, "%s %s %s", typeOf(a), operator, typeOf(b))
	}
	for i := range min(len(l), len(m)) {
		if !r.equal(l[i], m[i], nest-1) {
			return r.order(l[i], m[i], operator, nest-1)
		}
	}
	return len(l) - len(m)
}

// deeper counts a comparison, and ends where values lie too deep within each other.
func (r *rendering) deeper(nest int) {
	if r.take(1, 0); nest == 0 {
		halt(ErrLimit, "a value of more than %d levels", maxNest)
	}
}

// equal is A == B: a value in Python's sense, with numbers of all types alike.
func (r *rendering) equal(a, b any, nest int) bool {
	r.deeper(nest)
	switch a := a.(type) {
	case undefined:
		_, ok := b.(undefined)
		return ok
	case list:
		b, ok := b.(list)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !r.equal(a[i], b[i], nest-1) {
				return false
			}
		}
		return true
	case dict:
		b, ok := b.(dict)
		if !ok || len(a) != len(b) {
			return false
		}
		for _, p := range a {
			if v, ok := b.get(p.key); !ok || !r.equal(p.value, v, nest-1) {
				return false
			}
		}
		return true
	case *namespace:
		return b == any(a)
	case *loop:
		return b == any(a)
	}
	return sameKey(a, b)
}

// contains is V in OF.
func (r *rendering) contains(of, v any) bool {
	switch of := of.(type) {
	case dict:
		_, ok := of.get(hashable(v))
		return ok
	case string:
		s, ok := v.(string)
		if !ok {
			halt(ErrMalformed, "%s in a text", typeOf(v))
		}
		return strings.Contains(of, s)
	}
	for _, item := range r.items(of) {
		if r.equal(item, v, maxNest) {
			return true
		}
	}
	return false
}
