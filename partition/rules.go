package partition

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
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
	for _, part := range splitRules(text) {
		pattern, target, found := cutRule(part)
		if !found {
			if strings.Contains(text, ",") {
				return nil, fmt.Errorf("%w: %q is not PATH=DEVICE", ErrRules, part)
			}
			pattern, target = "", part
		}
		if target == "" || found && pattern == "" {
			return nil, fmt.Errorf("%w: %q is not PATH=DEVICE", ErrRules, part)
		}
		r := Rule{Text: part, Target: canonicalDevice(target), pattern: pattern}
		switch {
		case pattern == "":
			r.match = func(*graph.Node) bool { return true }
		case strings.HasPrefix(pattern, "/"):
			if !strings.HasSuffix(pattern, "/") || len(pattern) < 3 {
				return nil, fmt.Errorf("%w: %q is not a regular expression between slashes", ErrRules, pattern)
			}
			re, err := regexp.Compile(pattern[1 : len(pattern)-1])
			if err != nil {
				return nil, fmt.Errorf("%w: %q is no regular expression: %w", ErrRules, pattern, err)
			}
			r.match = func(n *graph.Node) bool { return re.MatchString(n.Path) || re.MatchString(n.Name) }
		default:
			match, err := pathMatcher(pattern)
			if err != nil {
				return nil, err
			}
			r.match = func(n *graph.Node) bool { return match(n.Path) }
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// splitRules splits at commas outside /…/.
func splitRules(text string) []string {
	var parts []string
	start, in := 0, false
	for i, c := range text {
		switch {
		case c == '/':
			in = !in
		case c == ',' && !in:
			parts = append(parts, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(text[start:]))
}

// cutRule splits PATTERN=DEVICE at the last '=', which a regular expression may
// hold too.
func cutRule(s string) (pattern, target string, found bool) {
	i := strings.LastIndex(s, "=")
	if i < 0 {
		return "", s, false
	}
	return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:]), true
}

// canonicalDevice adds the ordinal that people leave out: "sim" is "sim:0".
func canonicalDevice(name string) string {
	if name != "cpu" && !strings.Contains(name, ":") {
		return name + ":0"
	}
	return name
}

// pathMatcher matches a canonical path and all below it; one part may be a range
// of numbers, as in llm.layers.0-17.
func pathMatcher(pattern string) (func(string) bool, error) {
	want := strings.Split(pattern, ".")
	type bounds struct{ lo, hi int }
	ranges := map[int]bounds{}
	for i, w := range want {
		from, to, found := strings.Cut(w, "-")
		lo, err := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if !found || err != nil || err2 != nil {
			continue // a name like any other
		}
		if lo > hi {
			return nil, fmt.Errorf("%w: %q counts down", ErrRules, pattern)
		}
		ranges[i] = bounds{lo, hi}
	}
	return func(path string) bool {
		have := strings.Split(path, ".")
		if len(have) < len(want) {
			return false
		}
		for i, w := range want {
			if r, ok := ranges[i]; ok {
				if n, err := strconv.Atoi(have[i]); err != nil || n < r.lo || n > r.hi {
					return false
				}
			} else if have[i] != w {
				return false
			}
		}
		return true
	}, nil
}
