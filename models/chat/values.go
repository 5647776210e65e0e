package chat

import "github.com/nikolalohinski/gonja/v2/exec"

// list is a sequence that a template sees. Items count from the end when the index is negative, as in Python; gonja's own
// lists miss the first item that way.
type list []any

// GetItem makes list an exec.ItemGetter.
func (l list) GetItem(key any) (*exec.Value, bool) {
	i, ok := key.(int)
	if i < 0 {
		i += len(l)
	}
	if !ok || i < 0 || i >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.ToValue(l[i]), true
}

// String refuses: a template that adds a list to a text was made for messages without pictures.
func (l list) String() string {
	halt(ErrUnsupported, "text wanted, found a list (has this template no place for pictures?)")
	return ""
}

// namespace is what a template may set fields of.
type namespace map[string]any

// mapping is a message or a part of one, with Python's methods of a dict that do not change it.
type mapping map[string]any

// keyOrder is the order in which transformers' callers write a mapping's keys; tojson shows it.
var keyOrder = []string{"role", "content", "type", "text", "image", "image_url", "video"}

// GetAttribute makes mapping an exec.AttributeGetter. gonja's own way to a method prints the whole mapping first.
func (m mapping) GetAttribute(name string) (*exec.Value, bool) {
	if v, ok := m[name]; ok {
		return exec.ToValue(v), true
	}
	self := exec.AsValue(m)
	switch name {
	case "get":
		return exec.AsValue(func(args *exec.VarArgs) *exec.Value {
			if v, ok := m[args.First().String()]; ok {
				return exec.ToValue(v)
			}
			if len(args.Args) > 1 {
				return args.Args[1]
			}
			return exec.AsValue(nil)
		}), true
	case "items":
		return exec.AsValue(func(*exec.VarArgs) *exec.Value { return exec.AsValue(items(self)) }), true
	case "keys":
		return exec.AsValue(func(*exec.VarArgs) *exec.Value { return exec.AsValue(column(self, 0)) }), true
	case "values":
		return exec.AsValue(func(*exec.VarArgs) *exec.Value { return exec.AsValue(column(self, 1)) }), true
	}
	return exec.AsValue(nil), false
}

// items is the pairs of a mapping as lists of two, in its order.
func items(v *exec.Value) list {
	out := list{}
	if m, ok := v.Interface().(mapping); ok {
		for _, key := range keyOrder {
			if value, ok := m[key]; ok {
				out = append(out, list{key, value})
			}
		}
		return out
	}
	v.IterateOrder(func(_, _ int, key, value *exec.Value) bool {
		out = append(out, list{key.Interface(), value.Interface()})
		return true
	}, func() {}, false, false, false)
	return out
}

// column is the keys (0) or the values (1) of a mapping.
func column(v *exec.Value, n int) list {
	out := items(v)
	for i, pair := range out {
		out[i] = pair.(list)[n]
	}
	return out
}
