package partition

import (
	"errors"
	"fmt"
	"strings"

	"mnnconv/graph"
)

// rule returns the first rule that matches the node. A rule for the whole llm is
// one for its embeddings and its head too, where none names them.
func rule(n *graph.Node, rules []Rule) *Rule {
	for i := range rules {
		if rules[i].match(n) {
			return &rules[i]
		}
	}
	if stage, _, _ := strings.Cut(n.Path, "."); stage == "embed" || stage == "head" {
		for i := range rules {
			if rules[i].pattern == "llm" {
				return &rules[i]
			}
		}
	}
	return nil
}

// place gives every node a target and a cause. Nodes without a canonical path
// that no rule names go with their first reader; what is left goes to the cpu.
func place(g *graph.Graph, rules []Rule, targets []Target) error {
	used := map[string]bool{}
	for _, n := range g.Nodes {
		if r := rule(n, rules); r != nil {
			n.Target, n.Cause = r.Target, "rule "+r.Text
		}
	}
	uses := g.Uses()
	for i := len(g.Nodes) - 1; i >= 0; i-- { // readers first
		n := g.Nodes[i]
		if n.Target != "" {
			continue
		}
		n.Target, n.Cause = string(graph.Host), "default"
		if len(rules) == 0 || n.Path != "" {
			continue
		}
		for _, v := range n.Outputs {
			if v == nil || len(uses[v]) == 0 || uses[v][0].Node == nil {
				continue
			}
			reader := uses[v][0].Node
			n.Target, n.Cause = reader.Target, "goes with its reader, "+reader.ID()
			break
		}
	}
	var errs []error
	for _, n := range g.Nodes {
		t, err := find(targets, n.Target)
		if err != nil {
			if !used[n.Target] {
				errs = append(errs, err)
			}
			used[n.Target] = true
			continue
		}
		if err := t.Profile.Supports(n); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s (%s): %w", ErrPlacement, n.ID(), n.Cause, err))
		}
	}
	return errors.Join(errs...)
}
