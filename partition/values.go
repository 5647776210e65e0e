package partition

import (
	"errors"
	"fmt"

	"mnnconv/graph"
)

// CheckValues checks a relation on the values of a tensor in host memory and names
// the first element that breaks it; the caller names the boundary. other is the tensor that the relation compares
// with, if it does; env gives the symbols of its bounds their values. Nothing is
// allocated for relations on floats.
func (r Relation) CheckValues(t, other *graph.Tensor, env graph.Env) error {
	switch r.Kind {
	case Finite:
		return r.within(t, t.DType.Largest())
	case Magnitude:
		most, err := r.High.Eval(env)
		if err != nil {
			return err
		}
		return r.within(t, float64(most))
	case Extent:
		return nil
	}
	v, err := t.Int64s()
	if err != nil {
		return fmt.Errorf("%s: %w", r.Text, err)
	}
	if len(r.Rows) == 2 {
		if len(t.Shape) == 0 || r.Rows[0] < 0 || r.Rows[1] < r.Rows[0] || t.Shape[0] <= int64(r.Rows[1]) {
			return r.broken("rows %v of a tensor of shape %v", r.Rows, t.Shape)
		}
		row := len(v) / int(t.Shape[0])
		v = v[r.Rows[0]*row : (r.Rows[1]+1)*row]
	}
	var low, high int64
	if low, err = r.Low.Eval(env); err != nil {
		return err
	}
	if high, err = r.High.Eval(env); err != nil {
		return err
	}
	switch r.Kind {
	case Bounded:
		for i, x := range v {
			if x < low || x >= high {
				return r.broken("element %d is %d, expected %d to %d", i, x, low, high-1)
			}
		}
	case Consecutive: // in each sequence of a batch
		each := len(v)
		if n := len(t.Shape); n > 1 {
			each = int(t.Shape[n-1])
		}
		for i, x := range v {
			if x < 0 || x >= high || i%each > 0 && x != v[i-1]+1 {
				return r.broken("element %d is %d, expected the one before it and 1, 0 to %d", i, x, high-1)
			}
		}
	case Permutation:
		return r.permutation(v, high)
	case Inverse:
		return r.inverse(v, other)
	case Ascending:
		for i, x := range v {
			switch {
			case i == 0 && x != low:
				return r.broken("element 0 is %d, expected %d", x, low)
			case i > 0 && x <= v[i-1]:
				return r.broken("element %d is %d, expected more than %d before it", i, x, v[i-1])
			case i == len(v)-1 && x != high:
				return r.broken("element %d, the last, is %d, expected %d", i, x, high)
			}
		}
	case Count:
		return r.count(v, high)
	}
	return nil
}

func (r Relation) broken(format string, args ...any) error {
	return fmt.Errorf("%s: %s", r.Text, fmt.Sprintf(format, args...))
}

// ErrOdd: values are no numbers, infinite, or over the range of their reader.
var ErrOdd = errors.New("values out of range")

// within checks that all elements are numbers of most in magnitude.
func (r Relation) within(t *graph.Tensor, most float64) error {
	o := Scan(t, most)
	if !o.Any() {
		return nil
	}
	return &OddError{Relation: r, Most: most, Oddities: o}
}

// OddError is an ErrOdd that says what was found of what is demanded.
type OddError struct {
	Relation Relation
	Most     float64
	Oddities Oddities
}

func (e *OddError) Error() string {
	return fmt.Sprintf("%s: %s, expected at most %g in magnitude", e.Relation.Text, e.Oddities, e.Most)
}

// Is reports whether target is ErrOdd.
func (e *OddError) Is(target error) bool { return target == ErrOdd }

func (r Relation) permutation(v []int64, n int64) error {
	if int64(len(v)) != n {
		return r.broken("%d elements, expected %d", len(v), n)
	}
	seen := make([]bool, n)
	for i, x := range v {
		switch {
		case x < 0 || x >= n:
			return r.broken("element %d is %d, expected 0 to %d", i, x, n-1)
		case seen[x]:
			return r.broken("element %d is %d, which came before", i, x)
		}
		seen[x] = true
	}
	return nil
}

func (r Relation) inverse(v []int64, other *graph.Tensor) error {
	if other == nil {
		return r.broken("value %q is not there to be compared with", r.Other)
	}
	o, err := other.Int64s()
	if err != nil {
		return err
	}
	if len(o) != len(v) {
		return r.broken("%d elements, %q has %d", len(v), r.Other, len(o))
	}
	for i, x := range o {
		if x < 0 || x >= int64(len(v)) || v[x] != int64(i) {
			return r.broken("%q holds %d at %d, and element %d here is not %d", r.Other, x, i, x, i)
		}
	}
	return nil
}

// count leaves a single token out: a model may say a placeholder itself, and that
// stands for no row.
func (r Relation) count(v []int64, want int64) error {
	if len(v) == 1 {
		return nil
	}
	have, last := int64(0), 0
	for i, x := range v {
		for _, t := range r.Tokens {
			if x == t {
				have, last = have+1, i
			}
		}
	}
	if have != want {
		return r.broken("%d of them, the last at %d, expected %d", have, last, want)
	}
	return nil
}
