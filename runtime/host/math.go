package host

import (
	"errors"
	"fmt"
	"iter"

	"mnnconv/graph"
)

// ErrMath: text that chooses no arithmetic, or chooses it for nothing.
var ErrMath = errors.New("arithmetic")

// Math chooses the arithmetic of products with quantised weights. The zero value is
// exact: activations as they are, weights dequantised, sums in float32.
type Math struct{ rules []mathRule }

type mathRule struct {
	text    string
	matches func(*graph.Node) bool
	mode    arithmetic
}

// arithmetic is that of one product.
type arithmetic string

const (
	exact   arithmetic = "exact"
	int8act arithmetic = "int8act" // activations are quantised to 8 bits by the block
	fast    arithmetic = "fast"    // int8act, or, where that is faster, activations and weights have the 8 bits of bfloat16
)

// ParseMath reads MODE or PATH=MODE,..., where MODE is exact, int8act (activations
// quantised to 8 bits by the block) or fast (int8act, or activations and weights rounded to
// bfloat16 where the processor has tiles for that) and PATH is what [graph.ParsePattern] reads.
// The first rule that fits a node counts.
func ParseMath(text string) (Math, error) {
	var m Math
	if text == "" {
		return m, nil
	}
	for _, rule := range graph.SplitPatterns(text) {
		path, name, found := graph.CutPattern(rule)
		mode := arithmetic(name)
		if mode != exact && mode != int8act && mode != fast || found && path == "" {
			return Math{}, fmt.Errorf("%w: %q: want exact, int8act, fast or PATH=MODE,..., such as llm=int8act", ErrMath, rule)
		}
		matches, err := graph.ParsePattern(path)
		if err != nil {
			return Math{}, fmt.Errorf("%w: %q: %w", ErrMath, rule, err)
		}
		m.rules = append(m.rules, mathRule{rule, matches, mode})
	}
	return m, nil
}

// of returns the arithmetic of a product.
func (m Math) of(n *graph.Node) arithmetic {
	for _, r := range m.rules {
		if r.matches(n) {
			return r.mode
		}
	}
	return exact
}

// Check names the first rule that decides for no node: it is misspelled, or rules before
// it took all that it matches.
func (m Math) Check(nodes iter.Seq[*graph.Node]) error {
	matched, used := make([]bool, len(m.rules)), make([]bool, len(m.rules))
	for n := range nodes {
		first := true
		for i, r := range m.rules {
			if r.matches(n) {
				matched[i], used[i], first = true, used[i] || first, false
			}
		}
	}
	for i, r := range m.rules {
		switch {
		case !matched[i]:
			return fmt.Errorf("%w: %q matches no node; `mnnconv inspect --nodes` lists paths", ErrMath, r.text)
		case !used[i]:
			return fmt.Errorf("%w: rules before %q took all that it matches: put it before them", ErrMath, r.text)
		}
	}
	return nil
}
