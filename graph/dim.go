package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
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
//
// A result that cannot be kept, because a coefficient leaves 64 bits or the
// polynomial outgrows maxSize, becomes an unknown: a factor that equals only
// itself and has no value. So a graph made to overflow or to blow up can neither
// prove a wrong equality nor take much time.
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
	name string // as printed, different for different atoms
	sym  string // of a symbol, without the quotes that an odd one has in name
	op   byte   // 0, 'd' floor division, 'm' floor remainder, '<' minimum, '>' maximum, '?' unknown
	a, b *Dim   // of 'd', 'm', '<' and '>'
}

// maxSize bounds the names of all factors of a dim together, in bytes, and the
// number of products that a multiplication may have to add up.
const maxSize = 1024

// Const returns the dim of a known extent.
func Const(n int64) Dim { return Dim{c: n} }

// Sym returns the dim that is exactly the named symbol.
func Sym(name string) Dim {
	return Dim{terms: []term{{1, []atom{{name: plainOrQuoted(name, isSymbol), sym: name}}}}}
}

// isSymbol reports whether a symbol can be printed without quotes: exporters
// also name extents "past + 1" or "a*b", which must not pass for that arithmetic.
func isSymbol(name string) bool {
	for i, c := range []byte(name) {
		if !(c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || i > 0 && (c == '.' || c == '#' || '0' <= c && c <= '9')) {
			return false
		}
	}
	return name != ""
}

func plainOrQuoted(name string, plain func(string) bool) string {
	if plain(name) {
		return name
	}
	return strconv.Quote(name)
}

// Int returns the value of a constant dim; ok is false for a symbolic one.
func (d Dim) Int() (n int64, ok bool) { return d.c, len(d.terms) == 0 }

// IsConst reports whether d is the constant n.
func (d Dim) IsConst(n int64) bool { return len(d.terms) == 0 && d.c == n }

// Symbol returns the name if d is exactly one symbol.
func (d Dim) Symbol() (string, bool) {
	if d.c == 0 && len(d.terms) == 1 && d.terms[0].coef == 1 && len(d.terms[0].atoms) == 1 && d.terms[0].atoms[0].op == 0 {
		return d.terms[0].atoms[0].sym, true
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
	c, ok := add(d.c, e.c)
	sum, fits := canonical(c, append(slices.Clone(d.terms), e.terms...))
	if !ok || !fits {
		return unknownDim("+", d, e)
	}
	return sum
}

// Sub returns d - e.
func (d Dim) Sub(e Dim) Dim { return d.Add(e.Mul(Const(-1))) }

// Mul returns d * e.
func (d Dim) Mul(e Dim) Dim {
	if len(d.terms)*len(e.terms) > maxSize {
		return unknownDim("*", d, e)
	}
	var terms []term
	ok := true
	product := func(a, b int64, atoms []atom) {
		coef, fits := mul(a, b)
		ok = ok && fits
		terms = append(terms, term{coef, atoms})
	}
	for _, s := range d.terms {
		product(s.coef, e.c, s.atoms)
		for _, t := range e.terms {
			atoms := append(slices.Clone(s.atoms), t.atoms...)
			sort.Slice(atoms, func(i, j int) bool { return atoms[i].name < atoms[j].name })
			product(s.coef, t.coef, atoms)
		}
	}
	for _, t := range e.terms {
		product(t.coef, d.c, t.atoms)
	}
	c, fits := mul(d.c, e.c)
	out, small := canonical(c, terms)
	if !ok || !fits || !small {
		return unknownDim("*", d, e)
	}
	return out
}

// Div returns floor(d / e), simplified where e divides d exactly for every e
// other than 0.
func (d Dim) Div(e Dim) Dim {
	if q, ok := d.exact(e); ok {
		return q
	}
	if n, ok := e.Int(); ok && n > 0 {
		if m, ok := d.Int(); ok {
			return Const(floorDiv(m, n))
		}
		if g := d.divisor(n); g > 1 {
			q, _ := d.exact(Const(g))
			return q.Div(Const(n / g))
		}
	}
	return opaque('d', "floor("+d.operand()+" / "+e.operand()+")", d, e)
}

// divisor returns the largest number that divides n > 0 and every coefficient.
func (d Dim) divisor(n int64) int64 {
	gcd := func(a, b int64) int64 {
		for b != 0 {
			a, b = b, a%b
		}
		return max(a, -a)
	}
	n = gcd(n, d.c)
	for _, t := range d.terms {
		n = gcd(n, t.coef)
	}
	return n
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
	return opaque('m', "mod("+d.String()+", "+e.String()+")", d, e)
}

// Min returns the smaller of d and e.
func (d Dim) Min(e Dim) Dim {
	d, e = ordered(d, e)
	if n, ok := d.Sub(e).Int(); ok {
		if n <= 0 {
			return d
		}
		return e
	}
	return opaque('<', "min("+d.String()+", "+e.String()+")", d, e)
}

// Max returns the larger of d and e.
func (d Dim) Max(e Dim) Dim {
	d, e = ordered(d, e)
	if n, ok := d.Sub(e).Int(); ok {
		if n >= 0 {
			return d
		}
		return e
	}
	return opaque('>', "max("+d.String()+", "+e.String()+")", d, e)
}

// ordered puts the operands of a commutative function into one order, so that
// it gives the same dim either way, also where their difference overflows.
func ordered(d, e Dim) (Dim, Dim) {
	if e.String() < d.String() {
		return e, d
	}
	return d, e
}

// exact returns d/e when every coefficient divides, or when one term's factors
// are a sub-multiset of every term of d.
func (d Dim) exact(e Dim) (Dim, bool) {
	if d.Equal(e) && !d.IsConst(0) {
		return Const(1), true
	}
	by := term{coef: e.c} // what divides each term
	switch {
	case len(e.terms) == 1 && e.c == 0 && d.c == 0:
		by = e.terms[0]
	case len(e.terms) > 0:
		return Dim{}, false
	}
	c, ok := quotient(d.c, by.coef)
	if !ok {
		return Dim{}, false
	}
	var terms []term
	for _, t := range d.terms {
		coef, ok := quotient(t.coef, by.coef)
		if !ok {
			return Dim{}, false
		}
		rest := slices.Clone(t.atoms)
		for _, a := range by.atoms {
			i := slices.IndexFunc(rest, func(b atom) bool { return b.name == a.name })
			if i < 0 {
				return Dim{}, false
			}
			rest = slices.Delete(rest, i, i+1)
		}
		if len(rest) == 0 {
			c = coef // only one term can be by's factors alone, and then d.c is 0
			continue
		}
		terms = append(terms, term{coef, rest})
	}
	return canonical(c, terms)
}

func opaque(op byte, name string, d, e Dim) Dim {
	out := Dim{terms: []term{{1, []atom{{name: name, op: op, a: &d, b: &e}}}}}
	if out.size() > maxSize {
		return unknownDim(string(op), d, e)
	}
	return out
}

// unknownDim returns the unknown that stands for an operation on d and e. The
// same operation on the same dims gives the same unknown.
func unknownDim(op string, d, e Dim) Dim { return hashedDim(op + " " + d.String() + " " + e.String()) }

func hashedDim(origin string) Dim {
	h := sha256.Sum256([]byte(origin))
	return unknownOf(hex.EncodeToString(h[:16]))
}

func unknownOf(hash string) Dim {
	return Dim{terms: []term{{1, []atom{{name: "unknown(" + hash + ")", op: '?'}}}}}
}

func (d Dim) size() int {
	n := 0
	for _, t := range d.terms {
		for _, a := range t.atoms {
			n += len(a.name)
		}
	}
	return n
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

// canonical sorts terms, which it may change, and adds up equal ones; ok is
// false where the result cannot be kept.
func canonical(c int64, terms []term) (d Dim, ok bool) {
	sort.SliceStable(terms, func(i, j int) bool { return terms[i].key() < terms[j].key() })
	var out []term
	for i := 0; i < len(terms); {
		sum, key := term{0, terms[i].atoms}, terms[i].key()
		for ; i < len(terms) && terms[i].key() == key; i++ {
			if sum.coef, ok = add(sum.coef, terms[i].coef); !ok {
				return Dim{}, false
			}
		}
		if sum.coef != 0 {
			out = append(out, sum)
		}
	}
	d = Dim{c, out}
	return d, d.size() <= maxSize
}

// add, mul and quotient are exact, or ok is false.
func add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

func mul(a, b int64) (product int64, ok bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	product = a * b
	return product, product/b == a && !(b == -1 && a == math.MinInt64)
}

func quotient(a, b int64) (q int64, ok bool) {
	if b == 0 || a%b != 0 || b == -1 && a == math.MinInt64 {
		return 0, false
	}
	return a / b, true
}

// floorDiv rounds toward negative infinity; b is not 0, and the quotient fits.
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
// zero, an overflow and an unknown are errors that name the dim.
func (d Dim) Eval(env Env) (int64, error) {
	sum := d.c
	for _, t := range d.terms {
		prod := t.coef
		var ok bool
		for _, a := range t.atoms {
			v, err := a.eval(env)
			if err != nil {
				return 0, err
			}
			if prod, ok = mul(prod, v); !ok {
				return 0, fmt.Errorf("dim %s overflows", d)
			}
		}
		if sum, ok = add(sum, prod); !ok {
			return 0, fmt.Errorf("dim %s overflows", d)
		}
	}
	return sum, nil
}

func (a atom) eval(env Env) (int64, error) {
	switch a.op {
	case 0:
		v, ok := env[a.sym]
		if !ok {
			return 0, fmt.Errorf("symbol %q has no value", a.sym)
		}
		return v, nil
	case '?':
		return 0, fmt.Errorf("dim %s has no value: it overflowed or grew too large", a.name)
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
	if x == math.MinInt64 && y == -1 {
		return 0, fmt.Errorf("dim %s overflows", a.name)
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
		if d, ok := with[a.sym]; ok {
			return d
		}
		return Sym(a.sym)
	case '?': // what it hides may hold any of the symbols: another unknown
		if len(with) == 0 {
			return Dim{terms: []term{{1, []atom{a}}}}
		}
		origin := a.name
		for _, name := range slices.Sorted(maps.Keys(with)) {
			origin += fmt.Sprintf(" %q: %s", name, with[name])
		}
		return hashedDim(origin)
	case 'd':
		return a.a.Subst(with).Div(a.b.Subst(with))
	case 'm':
		return a.a.Subst(with).Mod(a.b.Subst(with))
	case '<':
		return a.a.Subst(with).Min(a.b.Subst(with))
	}
	return a.a.Subst(with).Max(a.b.Subst(with))
}

// Symbols adds the names of all symbols in d to set; those that went into an
// unknown are lost.
func (d Dim) Symbols(set map[string]bool) {
	for _, t := range d.terms {
		for _, a := range t.atoms {
			switch a.op {
			case 0:
				set[a.sym] = true
			case '?':
			default:
				a.a.Symbols(set)
				a.b.Symbols(set)
			}
		}
	}
}

// String writes d as a sum, such as "4*n + 1".
func (d Dim) String() string {
	if len(d.terms) == 0 {
		return strconv.FormatInt(d.c, 10)
	}
	var b strings.Builder
	for i, t := range d.terms {
		switch {
		case i == 0 && t.coef < 0:
			b.WriteString("-")
		case t.coef < 0:
			b.WriteString(" - ")
		case i > 0:
			b.WriteString(" + ")
		}
		if n := magnitude(t.coef); n != 1 {
			b.WriteString(strconv.FormatUint(n, 10) + "*")
		}
		b.WriteString(t.key())
	}
	switch {
	case d.c > 0:
		fmt.Fprintf(&b, " + %d", d.c)
	case d.c < 0:
		fmt.Fprintf(&b, " - %d", magnitude(d.c))
	}
	return b.String()
}

// operand is String with parentheses around a sum.
func (d Dim) operand() string {
	if len(d.terms) > 1 || len(d.terms) == 1 && d.c != 0 {
		return "(" + d.String() + ")"
	}
	return d.String()
}

// magnitude returns |n|, also for the smallest int64.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// Linear returns d as scale*symbol + rest with scale > 0, if it has that form:
// how an extent gives its symbol a value.
func (d Dim) Linear() (symbol string, scale, rest int64, ok bool) {
	if len(d.terms) != 1 || len(d.terms[0].atoms) != 1 || d.terms[0].atoms[0].op != 0 || d.terms[0].coef <= 0 {
		return "", 0, 0, false
	}
	return d.terms[0].atoms[0].sym, d.terms[0].coef, d.c, true
}
