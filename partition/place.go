package partition

import (
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

// TargetOf names the device that rules place a node with a canonical path on: the cpu
// where none matches it.
func TargetOf(n *graph.Node, rules []Rule) string {
	if r := rule(n, rules); r != nil {
		return r.Target
	}
	return string(graph.Host)
}

// cause says that a rule placed a node.
func (r *Rule) cause() string {
	text := "rule " + r.Text
	if r.Pin {
		text = "pin " + r.Text
	}
	if r.Source != "" {
		text += " (" + r.Source + ")"
	}
	return text
}

// FallbackTo is a rule that takes the nodes which the device they were placed on
// cannot run. It stands anywhere among the rules.
func FallbackTo(device string) Rule {
	return Rule{Text: "--fallback " + device, Target: canonicalDevice(device), fallback: true, match: func(*graph.Node) bool { return false }}
}

// place gives every node a target and a cause. Nodes without a canonical path
// that no rule names go with their first reader; what is left goes to the cpu.
// Integers that a target does not compute with go to the cpu as well: they are
// arithmetic on shapes and indexes; so does what is put out, made of nothing but
// what is put out as well. All nodes that no target can run are reported.
func place(phase string, g *graph.Graph, rules []Rule, targets []Target) error {
	for _, n := range g.Nodes {
		if r := rule(n, rules); r != nil {
			n.Target, n.Cause = r.Target, r.cause()
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
	widenScales(g)
	m := misfits{phase: phase, targets: targets, sizes: sizesOf(g), uses: g.Uses()}
	for _, n := range g.Nodes {
		m.fit(n, rules)
	}
	return m.err()
}
