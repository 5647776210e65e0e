package partition

import (
	"errors"
	"fmt"
	"strings"

	"mnnconv/graph"
)

// ErrRules: the text of placement rules cannot be read.
var ErrRules = errors.New("placement rules")

// Rule places the nodes it matches on a target.
type Rule struct {
	Text    string // as written, for reports
	Target  string
	Pin     bool   // of a file's pins, which stand before all other rules
	Source  string // where the rule was written, if not on the command line
	pattern string // what stands before the device
	match   func(n *graph.Node) bool

	fallback bool // see FallbackTo
}

// ParseRules reads `--place`: one device ("cpu", "sim:0"), "auto", or a list
// such as "vision=sim:0,llm=cpu" over canonical paths and /regular expressions/.
// The first rule that matches a node wins. An empty text gives no rules.
func ParseRules(text string) ([]Rule, error) {
	if text == "" || text == "auto" {
		return nil, nil
	}
	var rules []Rule
	for _, part := range graph.SplitPatterns(text) {
		pattern, target, found := graph.CutPattern(part)
		if !found {
			if strings.Contains(text, ",") {
				return nil, fmt.Errorf("%w: %q is not PATH=DEVICE", ErrRules, part)
			}
			pattern, target = "", part
		}
		if target == "" || found && pattern == "" {
			return nil, fmt.Errorf("%w: %q is not PATH=DEVICE", ErrRules, part)
		}
		match, err := graph.ParsePattern(pattern)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRules, err)
		}
		r := Rule{Text: part, Target: canonicalDevice(target), pattern: pattern, match: match}
		rules = append(rules, r)
	}
	return rules, nil
}

// canonicalDevice adds the ordinal that people leave out: "sim" is "sim:0".
func canonicalDevice(name string) string {
	if name != "cpu" && !strings.Contains(name, ":") {
		return name + ":0"
	}
	return name
}
