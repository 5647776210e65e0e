package partition

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
)

// CheckRules returns an error for each rule that placed no node of any plan: it is
// misspelled, or rules before it took all. The message names paths near it.
func CheckRules(rules []Rule, plans []*Plan) error {
	var errs []error
	var paths map[string]bool
	for i := range rules {
		r := &rules[i]
		if r.fallback || r.placed(plans) {
			continue
		}
		if paths == nil {
			var graphs []*graph.Graph
			for _, p := range plans {
				graphs = append(graphs, p.Graph)
			}
			paths = pathsOf(graphs)
		}
		errs = append(errs, fmt.Errorf("%w: %s places no node: %s", ErrPlacement, r.quoted(), r.hint(plans, paths)))
	}
	return errors.Join(errs...)
}

func (r *Rule) quoted() string {
	kind, from := "rule", ""
	if r.Pin {
		kind = "pin"
	}
	if r.Source != "" {
		from = " (" + r.Source + ")"
	}
	return fmt.Sprintf("%s %q%s", kind, r.Text, from)
}

// placed reports whether a node's cause is the rule, be it moved since.
func (r *Rule) placed(plans []*Plan) bool {
	cause := r.cause()
	for _, p := range plans {
		for _, n := range p.Graph.Nodes {
			if n.Cause == cause || strings.HasSuffix(n.Cause, "("+cause+")") {
				return true
			}
		}
	}
	return false
}

// hint says why a rule matched nothing.
func (r *Rule) hint(plans []*Plan, paths map[string]bool) string {
	for _, p := range plans {
		if slices.ContainsFunc(p.Graph.Nodes, r.match) {
			return "rules before it took all that it matches; put it before them, or make it a pin"
		}
	}
	stages := map[string]bool{}
	for path := range paths {
		stage, _, _ := strings.Cut(path, ".")
		stages[stage] = true
	}
	if len(stages) == 0 {
		return "the graph's nodes have no paths; name them by a /regular expression/ over their names"
	}
	parts := fmt.Sprintf("the model's parts are %s (see `mnnconv inspect --nodes`)", strings.Join(sortedKeys(stages), ", "))
	if near := nearest(r.pattern, sortedKeys(paths)); near != "" {
		return fmt.Sprintf("did you mean %s? %s", near, parts)
	}
	return parts
}

// pathsOf lists every canonical path and what it lies under.
func pathsOf(graphs []*graph.Graph) map[string]bool {
	out := map[string]bool{}
	for _, g := range graphs {
		for _, n := range g.Nodes {
			for path := n.Path; path != "" && !out[path]; {
				out[path] = true
				i := strings.LastIndexByte(path, '.')
				path = path[:max(i, 0)]
			}
		}
	}
	return out
}

// NearestPath returns the canonical path of graphs, or a part of one, that is nearest to
// a misspelled one. Empty: none is near; ok is false if there are no paths.
func NearestPath(text string, graphs []*graph.Graph) (path string, ok bool) {
	paths := pathsOf(graphs)
	return nearest(text, sortedKeys(paths)), len(paths) > 0
}

// nearest returns the name that takes the fewest edits to become, a third of its
// length at most; "" if there is none.
func nearest(text string, names []string) string {
	best, least := "", len(text)/3+1
	for _, n := range names {
		if len(n) > 2*len(text)+2 || len(text) > 256 {
			continue
		}
		if d := edits(text, n); d < least || d == least && best == "" {
			best, least = n, d
		}
	}
	return best
}

// edits is the distance of Levenshtein, with two neighbours swapped as one edit
// (optimal string alignment).
func edits(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i-1)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
