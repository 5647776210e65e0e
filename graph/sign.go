package graph

// NonNegative reports whether d is provably at least 0, given that a symbol
// stands for an extent and is never negative. False means not proven.
func (d Dim) NonNegative() bool {
	if d.c < 0 {
		return false
	}
	for _, t := range d.terms {
		if t.coef < 0 {
			return false
		}
		for _, a := range t.atoms {
			if !a.nonNegative() {
				return false
			}
		}
	}
	return true
}

func (a atom) nonNegative() bool {
	switch a.op {
	case 'd', '<':
		return a.a.NonNegative() && a.b.NonNegative()
	case 'm': // a floor remainder has the sign of the divisor
		return a.b.NonNegative()
	case '>':
		return a.a.NonNegative() || a.b.NonNegative()
	}
	return a.op == 0
}
