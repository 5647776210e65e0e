package graph

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Dim is one extent of a shape: a polynomial with integer coefficients over
// symbols, kept in canonical form, so that two dims are proven equal exactly
// when [Dim.Equal] says so. Quotients, remainders, minima and maxima that do not
// simplify are opaque factors. The zero Dim is the constant 0. Dims are
// immutable.
type Dim struct {
	c     int64
	terms []term // sorted by key, no zero coefficients
}

type term struct {
	coef  int64
	atoms []atom // sorted by name, repeated for powers
}

// atom is a symbol (op 0) or an opaque function of dims.
type atom struct {
	name string
	op   byte // 0, 'd' floor division, 'm' floor remainder, '<' minimum, '>' maximum
	a, b *Dim
}

// Const returns the dim of a known extent.
func Const(n int64) Dim { return Dim{c: n} }

// Sym returns the dim that is exactly the named symbol.
func Sym(name string) Dim {
	return Dim{terms: []term{{1, []atom{{name: name}}}}}
}

// Int returns the value of a constant dim; ok is false for a symbolic one.
func (d Dim) Int() (n int64, ok bool) { return d.c, len(d.terms) == 0 }

// IsConst reports whether d is the constant n.
func (d Dim) IsConst(n int64) bool { return len(d.terms) == 0 && d.c == n }

// Symbol returns the name if d is exactly one symbol.
func (d Dim) Symbol() (string, bool) {
	if d.c == 0 && len(d.terms) == 1 && d.terms[0].coef == 1 && len(d.terms[0].atoms) == 1 && d.terms[0].atoms[0].op == 0 {
		return d.terms[0].atoms[0].name, true
	}
	return "", false
}

// Equal reports whether d and e are provably the same for every value of
// their symbols.
func (d Dim) Equal(e Dim) bool {
	return d.c == e.c && slices.EqualFunc(d.terms, e.terms, func(s, t term) bool {
		return s.coef == t.coef && s.key() == t.key()
	})
}

// Add returns d + e.
func (d Dim) Add(e Dim) Dim {
	return canonical(d.c+e.c, append(slices.Clone(d.terms), e.terms...))
}

// Sub returns d - e.
func (d Dim) Sub(e Dim) Dim { return d.Add(e.Mul(Const(-1))) }

// Mul returns d * e.
func (d Dim) Mul(e Dim) Dim {
	var terms []term
	for _, s := range d.terms {
		if e.c != 0 {
			terms = append(terms, term{s.coef * e.c, s.atoms})
		}
		for _, t := range e.terms {
			atoms := append(slices.Clone(s.atoms), t.atoms...)
			sort.Slice(atoms, func(i, j int) bool { return atoms[i].name < atoms[j].name })
			terms = append(terms, term{s.coef * t.coef, atoms})
		}
	}
	if d.c != 0 {
		for _, t := range e.terms {
			terms = append(terms, term{t.coef * d.c, t.atoms})
		}
	}
	return canonical(d.c*e.c, terms)
}

// Div returns floor(d / e), simplified where e divides d exactly.
func (d Dim) Div(e Dim) Dim {
	if q, ok := d.exact(e); ok {
		return q
	}
	if n, ok := e.Int(); ok && n > 0 {
		if m, ok := d.Int(); ok {
			return Const(floorDiv(m, n))
		}
	}
	return opaque('d', "floor(%s / %s)", d, e)
}

// Mod returns d - e*floor(d/e).
func (d Dim) Mod(e Dim) Dim {
	if _, ok := d.exact(e); ok {
		return Const(0)
	}
	if n, ok := e.Int(); ok && n > 0 {
		if m, ok := d.Int(); ok {
			return Const(m - n*floorDiv(m, n))
		}
	}
	return opaque('m', "mod(%s, %s)", d, e)
}

// Min returns the smaller of d and e.
func (d Dim) Min(e Dim) Dim {
	if n, ok := d.Sub(e).Int(); ok {
		if n <= 0 {
			return d
		}
		return e
	}
	return opaque('<', "min(%s, %s)", d, e)
}

// Max returns the larger of d and e.
func (d Dim) Max(e Dim) Dim {
	if n, ok := d.Sub(e).Int(); ok {
		if n >= 0 {
			return d
		}
		return e
	}
	return opaque('>', "max(%s, %s)", d, e)
}

// exact returns d/e when every coefficient divides, or when one term's factors
// are a sub-multiset of every term of d.
func (d Dim) exact(e Dim) (Dim, bool) {
	if n, ok := e.Int(); ok {
		if n == 0 || d.c%n != 0 {
			return Dim{}, false
		}
		out := Dim{c: d.c / n}
		for _, t := range d.terms {
			if t.coef%n != 0 {
				return Dim{}, false
			}
			out.terms = append(out.terms, term{t.coef / n, t.atoms})
		}
		return out, true
	}
	if d.Equal(e) {
		return Const(1), true
	}
	if e.c != 0 || len(e.terms) != 1 || d.c != 0 {
		return Dim{}, false
	}
	var terms []term
	c := int64(0)
	for _, t := range d.terms {
		if t.coef%e.terms[0].coef != 0 {
			return Dim{}, false
		}
		rest := slices.Clone(t.atoms)
		for _, a := range e.terms[0].atoms {
			i := slices.IndexFunc(rest, func(b atom) bool { return b.name == a.name })
			if i < 0 {
				return Dim{}, false
			}
			rest = slices.Delete(rest, i, i+1)
		}
		if len(rest) == 0 {
			c += t.coef / e.terms[0].coef
		} else {
			terms = append(terms, term{t.coef / e.terms[0].coef, rest})
		}
	}
	return canonical(c, terms), true
}

func opaque(op byte, format string, d, e Dim) Dim {
	return Dim{terms: []term{{1, []atom{{name: fmt.Sprintf(format, d, e), op: op, a: &d, b: &e}}}}}
}

func (t term) key() string {
	if len(t.atoms) == 1 {
		return t.atoms[0].name
	}
	names := make([]string, len(t.atoms))
	for i, a := range t.atoms {
		names[i] = a.name
	}
	return strings.Join(names, "*")
}

func canonical(c int64, terms []term) Dim {
	sort.SliceStable(terms, func(i, j int) bool { return terms[i].key() < terms[j].key() })
	var out []term
	for _, t := range terms {
		if n := len(out); n > 0 && out[n-1].key() == t.key() {
			out[n-1].coef += t.coef
			if out[n-1].coef == 0 {
				out = out[:n-1]
			}
		} else if t.coef != 0 {
			out = append(out, t)
		}
	}
	return Dim{c, out}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// Env gives symbols their values for one run.
type Env map[string]int64

// Eval returns the value of d under env. An unbound symbol, a division by
// zero and an overflow are errors that name the dim.
func (d Dim) Eval(env Env) (int64, error) {
	sum := d.c
	for _, t := range d.terms {
		prod := t.coef
		for _, a := range t.atoms {
			v, err := a.eval(env)
			if err != nil {
				return 0, err
			}
			p := prod * v
			if v != 0 && p/v != prod {
				return 0, fmt.Errorf("dim %s overflows", d)
			}
			prod = p
		}
		if s := sum + prod; (s > sum) == (prod > 0) {
			sum = s
		} else {
			return 0, fmt.Errorf("dim %s overflows", d)
		}
	}
	return sum, nil
}

func (a atom) eval(env Env) (int64, error) {
	if a.op == 0 {
		v, ok := env[a.name]
		if !ok {
			return 0, fmt.Errorf("symbol %q has no value", a.name)
		}
		return v, nil
	}
	x, err := a.a.Eval(env)
	if err != nil {
		return 0, err
	}
	y, err := a.b.Eval(env)
	if err != nil {
		return 0, err
	}
	switch a.op {
	case '<':
		return min(x, y), nil
	case '>':
		return max(x, y), nil
	}
	if y == 0 {
		return 0, fmt.Errorf("dim %s divides by zero", a.name)
	}
	if a.op == 'd' {
		return floorDiv(x, y), nil
	}
	return x - y*floorDiv(x, y), nil
}

// Subst replaces symbols by dims; a symbol that is not in with stays.
func (d Dim) Subst(with map[string]Dim) Dim {
	out := Const(d.c)
	for _, t := range d.terms {
		prod := Const(t.coef)
		for _, a := range t.atoms {
			prod = prod.Mul(a.subst(with))
		}
		out = out.Add(prod)
	}
	return out
}

func (a atom) subst(with map[string]Dim) Dim {
	switch a.op {
	case 0:
		if d, ok := with[a.name]; ok {
			return d
		}
		return Sym(a.name)
	case 'd':
		return a.a.Subst(with).Div(a.b.Subst(with))
	case 'm':
		return a.a.Subst(with).Mod(a.b.Subst(with))
	case '<':
		return a.a.Subst(with).Min(a.b.Subst(with))
	}
	return a.a.Subst(with).Max(a.b.Subst(with))
}

// Symbols adds the names of all symbols in d to set.
func (d Dim) Symbols(set map[string]bool) {
	for _, t := range d.terms {
		for _, a := range t.atoms {
			if a.op == 0 {
				set[a.name] = true
			} else {
				a.a.Symbols(set)
				a.b.Symbols(set)
			}
		}
	}
}

// String writes d as a sum, such as "4*n + 1".
func (d Dim) String() string {
	var b strings.Builder
	for _, t := range d.terms {
		coef := t.coef
		switch {
		case b.Len() > 0 && coef < 0:
			b.WriteString(" - ")
			coef = -coef
		case b.Len() > 0:
			b.WriteString(" + ")
		case coef < 0:
			b.WriteString("-")
			coef = -coef
		}
		if coef != 1 {
			b.WriteString(strconv.FormatInt(coef, 10) + "*")
		}
		b.WriteString(t.key())
	}
	switch {
	case b.Len() == 0:
		return strconv.FormatInt(d.c, 10)
	case d.c > 0:
		fmt.Fprintf(&b, " + %d", d.c)
	case d.c < 0:
		fmt.Fprintf(&b, " - %d", -d.c)
	}
	return b.String()
}

// Linear returns d as scale*symbol + rest with scale > 0, if it has that form:
// how an extent gives its symbol a value.
func (d Dim) Linear() (symbol string, scale, rest int64, ok bool) {
	if len(d.terms) != 1 || len(d.terms[0].atoms) != 1 || d.terms[0].atoms[0].op != 0 || d.terms[0].coef <= 0 {
		return "", 0, 0, false
	}
	return d.terms[0].atoms[0].name, d.terms[0].coef, d.c, true
}
