package graph

import "fmt"

// Bind gives the symbols of v's declared shape the values of a concrete
// tensor, and fails, naming the value, where an extent contradicts the type or
// another input.
func (env Env) Bind(v *Value, t *Tensor) error {
	if v.Type.Kind != TensorKind || t.Kind != TensorKind {
		return nil
	}
	if t.DType != v.Type.DType {
		return fmt.Errorf("%w: value %q is %s, got %s", ErrType, v.Name, v.Type, t.Type())
	}
	if !v.Type.Shape.Ranked() {
		return nil
	}
	if len(t.Shape) != len(v.Type.Shape) {
		return fmt.Errorf("%w: value %q is %s, got %s", ErrType, v.Name, v.Type, t.Type())
	}
	for i, d := range v.Type.Shape {
		if name, ok := d.Symbol(); ok {
			if have, ok := env[name]; !ok {
				env[name] = t.Shape[i]
			} else if have != t.Shape[i] {
				return fmt.Errorf("%w: value %q is %s, got %s: %s is %d elsewhere", ErrType, v.Name, v.Type, t.Type(), name, have)
			}
			continue
		}
		if name, scale, rest, ok := d.Linear(); ok {
			if _, bound := env[name]; !bound && (t.Shape[i]-rest)%scale == 0 {
				env[name] = (t.Shape[i] - rest) / scale
			}
		}
		n, err := d.Eval(env)
		if err != nil {
			continue // a symbol that a later input binds; checked by the session's contract
		}
		if n != t.Shape[i] {
			return fmt.Errorf("%w: value %q is %s, got %s: extent %d should be %d", ErrType, v.Name, v.Type, t.Type(), i, n)
		}
	}
	return nil
}
