package graph

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// SplitPatterns splits a list of rules over patterns, see [ParsePattern], at the
// commas outside /…/. A regular expression may hold slashes and commas itself: it
// ends at the first slash that a '=' or the next comma follows.
func SplitPatterns(text string) []string {
	var parts []string
	start := 0
	for i, c := range text {
		if c == ',' && !withinRegexp(strings.TrimSpace(text[start:i])) {
			parts = append(parts, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(text[start:]))
}

// withinRegexp reports whether a rule that begins so is still in its /…/.
func withinRegexp(rule string) bool {
	rest, ok := strings.CutPrefix(rule, "/")
	return ok && !strings.Contains(rest, "/=") && !strings.HasSuffix(rest, "/")
}

// CutPattern splits a rule PATTERN=WHAT at the last '=', which a regular expression may
// hold too. Without one, found is false and what is the whole rule.
func CutPattern(rule string) (pattern, what string, found bool) {
	i := strings.LastIndex(rule, "=")
	if i < 0 {
		return "", rule, false
	}
	return strings.TrimSpace(rule[:i]), strings.TrimSpace(rule[i+1:]), true
}

// ParsePattern reads what names nodes in placement, quantisation and the like: a
// canonical path and all below it, in which a part may be a range of numbers, as in
// llm.layers.0-17; a /regular expression/ over paths and the exporter's names; or
// nothing, which matches every node.
func ParsePattern(pattern string) (func(*Node) bool, error) {
	if pattern == "" {
		return func(*Node) bool { return true }, nil
	}
	if !strings.HasPrefix(pattern, "/") {
		return pathPattern(pattern)
	}
	if !strings.HasSuffix(pattern, "/") || len(pattern) < 3 {
		return nil, fmt.Errorf("%q is not a regular expression between slashes", pattern)
	}
	re, err := regexp.Compile(pattern[1 : len(pattern)-1])
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", pattern, err)
	}
	return func(n *Node) bool { return re.MatchString(n.Path) || re.MatchString(n.Name) }, nil
}

func pathPattern(pattern string) (func(*Node) bool, error) {
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
			return nil, fmt.Errorf("%q counts down", pattern)
		}
		ranges[i] = bounds{lo, hi}
	}
	return func(n *Node) bool {
		have := strings.Split(n.Path, ".")
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
