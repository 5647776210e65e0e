package graph

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var symbols = []string{"a", "b", "c#1", "a*b", "2*a", "past + 1", `"a"`, "ü", ""}

// tree is an expression beside the Dim that was computed step by step for it.
type tree struct {
	dim  Dim
	eval func(env Env) *big.Int // nil: a division by zero somewhere
}

func drawTree(t *rapid.T, depth int) tree {
	kind := "leaf"
	if depth > 0 {
		kind = rapid.SampledFrom([]string{"leaf", "+", "-", "*", "/", "%", "min", "max"}).Draw(t, "kind")
	}
	if kind == "leaf" {
		if rapid.Bool().Draw(t, "constant") {
			n := rapid.OneOf(rapid.Int64Range(-4, 8), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 1 << 62})).Draw(t, "n")
			return tree{Const(n), func(Env) *big.Int { return big.NewInt(n) }}
		}
		name := rapid.SampledFrom(symbols).Draw(t, "symbol")
		return tree{Sym(name), func(env Env) *big.Int { return big.NewInt(env[name]) }}
	}
	x, y := drawTree(t, depth-1), drawTree(t, depth-1)
	both := func(f func(z, x, y *big.Int)) func(Env) *big.Int {
		return func(env Env) *big.Int {
			a, b := x.eval(env), y.eval(env)
			if a == nil || b == nil || (kind == "/" || kind == "%") && b.Sign() == 0 {
				return nil
			}
			z := new(big.Int)
			f(z, a, b)
			return z
		}
	}
	switch kind {
	case "+":
		return tree{x.dim.Add(y.dim), both(func(z, a, b *big.Int) { z.Add(a, b) })}
	case "-":
		return tree{x.dim.Sub(y.dim), both(func(z, a, b *big.Int) { z.Sub(a, b) })}
	case "*":
		return tree{x.dim.Mul(y.dim), both(func(z, a, b *big.Int) { z.Mul(a, b) })}
	case "/":
		return tree{x.dim.Div(y.dim), both(func(z, a, b *big.Int) { floorBig(z, new(big.Int), a, b) })}
	case "%":
		return tree{x.dim.Mod(y.dim), both(func(z, a, b *big.Int) { floorBig(new(big.Int), z, a, b) })}
	case "min":
		return tree{x.dim.Min(y.dim), both(func(z, a, b *big.Int) {
			if z.Set(a); b.Cmp(a) < 0 {
				z.Set(b)
			}
		})}
	}
	return tree{x.dim.Max(y.dim), both(func(z, a, b *big.Int) {
		if z.Set(a); b.Cmp(a) > 0 {
			z.Set(b)
		}
	})}
}

func floorBig(quo, rem, a, b *big.Int) {
	quo.QuoRem(a, b, rem)
	if rem.Sign() != 0 && rem.Sign() != b.Sign() {
		quo.Sub(quo, big.NewInt(1))
		rem.Add(rem, b)
	}
}

func drawEnv(t *rapid.T) Env {
	env := Env{}
	for _, name := range symbols {
		env[name] = rapid.Int64Range(-3, 9).Draw(t, "value of "+name)
	}
	return env
}

// TestDimEval: the canonical form has the value of the expression, or none.
func TestDimEval(t *testing.T) {
	values, none := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		x, env := drawTree(t, 4), drawEnv(t)
		want := x.eval(env)
		got, err := x.dim.Eval(env)
		if want == nil || err != nil {
			none++ // a division by zero may have been simplified away, an overflow is no value
			return
		}
		values++
		if !want.IsInt64() || got != want.Int64() {
			t.Fatalf("%s is %d, want %s", x.dim, got, want)
		}
	})
	if values < 20 {
		t.Errorf("only %d of %d expressions had a value", values, values+none)
	}
}

// TestDimEvalFails: an error comes only with a reason.
func TestDimEvalFails(t *testing.T) {
	n := Sym("n")
	for _, k := range []struct {
		d    Dim
		n    int64
		want string
	}{
		{Sym("m"), 0, `symbol "m" has no value`},
		{n.Mul(Sym("m")), 0, `symbol "m" has no value`},
		{n.Div(n.Add(Const(1))), -1, "divides by zero"},
		{n.Mod(n.Add(Const(1))), -1, "divides by zero"},
		{Const(1).Div(Const(0)), 0, "divides by zero"},
		{Const(0).Div(Const(0)), 0, "divides by zero"},
		{n.Mul(n), 1 << 32, "overflows"},
		{n.Mul(Const(-1)), math.MinInt64, "overflows"},
		{n.Add(Const(1)), math.MaxInt64, "overflows"},
		{n.Sub(Const(2)), math.MinInt64 + 1, "overflows"},
		{Const(math.MinInt64).Div(n), -1, "overflows"},
		{Const(1 << 62).Mul(Const(4)), 0, "has no value: it overflowed or grew too large"},
		{Const(math.MaxInt64).Add(Const(1)), 0, "has no value"},
		{n.Mul(Const(math.MaxInt64)).Add(n), 0, "has no value"},
		{Const(math.MinInt64).Div(Const(-1)), 0, "overflows"},
	} {
		got, err := k.d.Eval(Env{"n": k.n})
		if err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s at %d: got %d, %v, want %q", k.d, k.n, got, err, k.want)
		}
	}
}

// TestDimEqual: equal dims have equal values, and equality survives rewriting.
func TestDimEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y, z, env := drawTree(t, 2).dim, drawTree(t, 2).dim, drawTree(t, 1).dim, drawEnv(t)
		if x.Equal(y) {
			if a, err := x.Eval(env); err == nil {
				if b, err := y.Eval(env); err != nil || a != b {
					t.Fatalf("%s equals %s, but they are %d and %d (%v)", x, y, a, b, err)
				}
			}
		}
		for name, pair := range map[string][2]Dim{
			"itself":        {x, x},
			"x + y = y + x": {x.Add(y), y.Add(x)},
			"x * y = y * x": {x.Mul(y), y.Mul(x)},
			"min":           {x.Min(y), y.Min(x)},
			"max":           {x.Max(y), y.Max(x)},
			"distributive":  {x.Add(y).Mul(z), x.Mul(z).Add(y.Mul(z))},
			"x + y - y":     {x.Add(y).Sub(y), x},
		} {
			if !pair[0].Equal(pair[1]) && !hasUnknown(pair[0]) && !hasUnknown(pair[1]) {
				t.Fatalf("%s: %s is not %s", name, pair[0], pair[1])
			}
		}
	})
}

func hasUnknown(d Dim) bool { return strings.Contains(d.String(), "unknown(") }

// TestDimDivMod: d = e*(d/e) + d%e, and an exact quotient gives d back.
func TestDimDivMod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y, env := drawTree(t, 2).dim, drawTree(t, 2).dim, drawEnv(t)
		if !y.IsConst(0) && !hasUnknown(x.Mul(y)) && len(y.terms) < 2 && (y.c == 0 || len(y.terms) == 0) {
			if q := x.Mul(y).Div(y); !q.Equal(x) {
				t.Fatalf("(%s)*(%s)/(%s) is %s", x, y, y, q)
			}
			if r := x.Mul(y).Mod(y); !r.IsConst(0) {
				t.Fatalf("(%s)*(%s) mod (%s) is %s", x, y, y, r)
			}
		}
		back := x.Div(y).Mul(y).Add(x.Mod(y))
		a, err := x.Eval(env)
		b, err2 := back.Eval(env)
		if err == nil && err2 == nil && a != b {
			t.Fatalf("%s is %d, but %s is %d", x, a, back, b)
		}
	})
}

func TestDimString(t *testing.T) {
	n, m := Sym("n"), Sym("m")
	for _, k := range []struct {
		d    Dim
		want string
	}{
		{Dim{}, "0"},
		{Const(-3), "-3"},
		{n, "n"},
		{n.Mul(Const(-1)), "-n"},
		{n.Mul(Const(4)).Add(Const(1)), "4*n + 1"},
		{m.Sub(n.Mul(n)).Sub(Const(2)), "m - n*n - 2"},
		{n.Add(Const(27)).Div(Const(28)), "floor((n + 27) / 28)"},
		{n.Mul(Const(2)).Div(m), "floor(2*n / m)"},
		{n.Mul(Const(6)).Sub(Const(9)).Div(Const(15)), "floor((2*n - 3) / 5)"},
		{n.Mod(Const(3)), "mod(n, 3)"},
		{n.Min(m), "min(m, n)"},
		{n.Max(m).Mul(Const(2)), "2*max(m, n)"},
		{n.Min(n.Add(Const(1))), "n"},
		{n.Max(n.Add(Const(1))), "n + 1"},
		{n.Add(Const(1)).Min(n), "n"},
		{n.Sub(Const(1)).Max(n), "n"},
		{n.Mul(m).Mul(Const(6)).Div(n.Mul(Const(3))), "2*m"},
		{n.Mul(m).Add(n).Div(n), "m + 1"},
		{n.Mul(Const(4)).Add(Const(8)).Div(Const(4)), "n + 2"},
		{Const(-7).Div(Const(2)), "-4"},
		{Const(-7).Mod(Const(2)), "1"},
		{Sym("a*b"), `"a*b"`},
		{Sym("past + 1").Add(Const(1)), `"past + 1" + 1`},
		{Sym("window#3"), "window#3"},
		{Const(math.MinInt64), "-9223372036854775808"},
		{n.Mul(Const(math.MinInt64)).Add(Const(math.MinInt64)), "-9223372036854775808*n - 9223372036854775808"},
	} {
		if got := k.d.String(); got != k.want {
			t.Errorf("got %s, want %s", got, k.want)
		}
	}
}

// TestDimSymbolsAreNoArithmetic: a symbol whose name reads like a product is not
// that product.
func TestDimSymbolsAreNoArithmetic(t *testing.T) {
	if Sym("a*b").Equal(Sym("a").Mul(Sym("b"))) || Sym("min(a, b)").Equal(Sym("a").Min(Sym("b"))) ||
		Sym(`"a"`).Equal(Sym("a")) || Sym("unknown(00)").Equal(unknownOf("00")) {
		t.Error("a symbol equals an expression")
	}
	if name, ok := Sym("a*b").Symbol(); name != "a*b" || !ok {
		t.Errorf("got %q", name)
	}
	if name, scale, rest, ok := Sym("past + 1").Mul(Const(3)).Sub(Const(2)).Linear(); name != "past + 1" || scale != 3 || rest != -2 || !ok {
		t.Errorf("got %q, %d, %d, %v", name, scale, rest, ok)
	}
	for _, d := range []Dim{Const(3), Sym("n").Mul(Sym("n")), Sym("n").Add(Sym("m")), Sym("n").Mul(Const(-1)), Sym("n").Mod(Const(2))} {
		if _, _, _, ok := d.Linear(); ok {
			t.Errorf("%s is linear", d)
		}
	}
	set := map[string]bool{}
	Sym("a b").Div(Sym("c")).Symbols(set)
	if len(set) != 2 || !set["a b"] || !set["c"] {
		t.Errorf("got %v", set)
	}
}

// TestParseDim: every dim is read back as it was written.
func TestParseDim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawTree(t, 3).dim
		got, err := ParseDim(d.String())
		if err != nil || !got.Equal(d) || got.String() != d.String() {
			t.Fatalf("%s became %s (%v)", d, got, err)
		}
	})
}

// TestDimSubst: substituting and then evaluating is evaluating with the
// substitutes' values.
func TestDimSubst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, a, b, env := drawTree(t, 3).dim, drawTree(t, 1).dim, drawTree(t, 1).dim, drawEnv(t)
		x, err := d.Subst(map[string]Dim{"a": a, "a*b": b}).Eval(env)
		if err != nil {
			return
		}
		inner := Env{}
		for k, v := range env {
			inner[k] = v
		}
		if inner["a"], err = a.Eval(env); err != nil {
			return
		}
		if inner["a*b"], err = b.Eval(env); err != nil {
			return
		}
		if y, err := d.Eval(inner); err == nil && x != y {
			t.Fatalf("%s with a = %s, \"a*b\" = %s is %d, want %d", d, a, b, x, y)
		}
	})
	u := unknownDim("*", Sym("n"), Sym("m"))
	if u.Subst(map[string]Dim{"n": Const(1)}).Equal(u) || !u.Subst(nil).Equal(u) {
		t.Error("an unknown must not survive a substitution")
	}
}

// TestDimStaysSmall lets dims grow in every way there is: growth is cut off, and
// what is left has no value.
func TestDimStaysSmall(t *testing.T) {
	k := Sym("k")
	for name, grow := range map[string]func(Dim) Dim{
		"powers":   func(d Dim) Dim { return d.Mul(d) },
		"products": func(d Dim) Dim { return d.Add(k).Mul(d.Add(Const(1))) },
		"nesting":  func(d Dim) Dim { return d.Add(k).Mod(d) },
		"quotient": func(d Dim) Dim { return d.Div(d.Add(k)) },
	} {
		d := Sym("a")
		for range 14 {
			d = grow(d)
			if n := len(d.String()); n > 8*maxSize {
				t.Fatalf("%s: a dim of %d bytes", name, n)
			}
		}
		if v, err := d.Eval(Env{"a": 1, "k": 1}); err == nil {
			t.Errorf("%s: an unknown has value %d", name, v)
		}
		if d.NonNegative() {
			t.Errorf("%s: an unknown is proven not to be negative", name)
		}
	}
}
