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
	path    string // empty: everything
	int8act bool
}

// ParseMath reads MODE or PATH=MODE,..., where MODE is exact or int8act (activations
// quantised to 8 bits by the block) and PATH is a stage or a canonical path below
// one. The first rule that fits a node counts.
func ParseMath(text string) (Math, error) {
	var m Math
	if text == "" {
		return m, nil
	}
	for rule := range strings.SplitSeq(text, ",") {
		path, mode, ok := strings.Cut(rule, "=")
		if !ok {
			path, mode = "", rule
		}
		if mode != "exact" && mode != "int8act" || ok && path == "" {
			return Math{}, fmt.Errorf("%w: %q: want exact, int8act or PATH=MODE,..., such as llm=int8act", ErrMath, rule)
		}
		m.rules = append(m.rules, mathRule{path, mode == "int8act"})
	}
	return m, nil
}

// int8act tells whether activations of a product are quantised.
func (m Math) int8act(n *graph.Node) bool {
	for _, r := range m.rules {
		if rest, ok := strings.CutPrefix(n.Path, r.path); ok && (r.path == "" || rest == "" || rest[0] == '.') {
			return r.int8act
		}
	}
	return false
}
