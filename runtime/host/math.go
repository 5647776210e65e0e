package host

import (
	"errors"
	"fmt"
	"strings"

	"mnnconv/graph"
)

// ErrMath: text that chooses no arithmetic.
var ErrMath = errors.New("no choice of arithmetic")

// Math chooses the arithmetic of products with quantised weights. The zero value is
// exact: activations as they are, weights dequantised, sums in float32.
type Math struct{ rules []mathRule }

type mathRule struct {
	matches func(*graph.Node) bool
	int8act bool
}

// ParseMath reads MODE or PATH=MODE,..., where MODE is exact or int8act (activations
// quantised to 8 bits by the block) and PATH is what [graph.ParsePattern] reads. The
// first rule that fits a node counts.
func ParseMath(text string) (Math, error) {
	var m Math
	if text == "" {
		return m, nil
	}
	for _, rule := range graph.SplitPatterns(text) {
		at := strings.LastIndex(rule, "=")
		path, mode := rule[:max(at, 0)], rule[at+1:]
		if mode != "exact" && mode != "int8act" || at == 0 {
			return Math{}, fmt.Errorf("%w: %q: want exact, int8act or PATH=MODE,..., such as llm=int8act", ErrMath, rule)
		}
		matches, err := graph.ParsePattern(path)
		if err != nil {
			return Math{}, fmt.Errorf("%w: %q: %w", ErrMath, rule, err)
		}
		m.rules = append(m.rules, mathRule{matches, mode == "int8act"})
	}
	return m, nil
}

// int8act tells whether activations of a product are quantised.
func (m Math) int8act(n *graph.Node) bool {
	for _, r := range m.rules {
		if r.matches(n) {
			return r.int8act
		}
	}
	return false
}
