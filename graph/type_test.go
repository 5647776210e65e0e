package graph

import (
	"slices"
	"testing"
)

func TestShape(t *testing.T) {
	s := ShapeOf(2, int64(3), "n", Sym("m").Add(Const(1)))
	if got := s.String(); got != "[2, 3, n, m + 1]" {
		t.Errorf("got %s", got)
	}
	if got := s.Elements().String(); got != "6*m*n + 6*n" {
		t.Errorf("elements: got %s", got)
	}
	if _, ok := s.Ints(); ok {
		t.Error("symbols became numbers")
	}
	if n, err := s.Eval(Env{"n": 5, "m": 6}); err != nil || !slices.Equal(n, []int64{2, 3, 5, 7}) {
		t.Errorf("got %v, %v", n, err)
	}
	if _, err := s.Eval(Env{"n": 5}); err == nil {
		t.Error("evaluated without a value for m")
	}
	known := s.Subst(map[string]Dim{"n": Const(5), "m": Const(6)})
	if n, ok := known.Ints(); !ok || !slices.Equal(n, []int64{2, 3, 5, 7}) || s[2].String() != "n" {
		t.Errorf("got %v, and left %s", known, s)
	}
	var unranked Shape
	if unranked.Equal(Shape{}) || !unranked.Equal(nil) || unranked.Ranked() || !(Shape{}).Ranked() {
		t.Error("an unknown rank passes for a scalar")
	}
	if _, ok := unranked.Ints(); ok || unranked.Subst(nil) != nil || unranked.String() != "[?]" {
		t.Error("an unknown rank has extents")
	}
	if n, ok := (Shape{}).Ints(); !ok || len(n) != 0 || (Shape{}).Subst(nil) == nil {
		t.Error("a scalar has no shape")
	}
	if !s.Equal(ShapeOf(2, 3, "n", Const(1).Add(Sym("m")))) || s.Equal(known) || s.Equal(s[:3]) {
		t.Error("wrong equality")
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a float extent")
		}
	}()
	ShapeOf(1.5)
}
