package graph

import "testing"

func TestNonNegative(t *testing.T) {
	n, m := Sym("n"), Sym("m")
	for _, k := range []struct {
		d    Dim
		want bool
	}{
		{Const(0), true},
		{Const(-1), false},
		{n.Mul(m).Add(Const(2)), true},
		{n.Sub(m), false},
		{n.Sub(Const(1)), false},
		{n.Add(Const(3)).Div(Const(2)), true},
		{n.Sub(Const(3)).Div(Const(2)), false},
		{n.Sub(Const(3)).Mod(Const(2)), true},
		{n.Sub(Const(3)).Mod(m.Sub(Const(1))), false},
		{n.Min(m), true},
		{n.Min(m.Sub(Const(1))), false},
		{n.Max(m.Sub(Const(1))), true},
		{n.Sub(Const(3)).Max(m.Sub(Const(1))), false},
	} {
		if got := k.d.NonNegative(); got != k.want {
			t.Errorf("NonNegative(%s) = %v, want %v", k.d, got, k.want)
		}
	}
}
