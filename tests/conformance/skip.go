package conformance

import (
	_ "embed" // the list
	"fmt"
	"path"
	"strings"
)

//go:embed skip.txt
var skips string

// Skip is a line of skip.txt: cases that are not run, and why.
type Skip struct {
	Pattern string // of suite/name, as path.Match takes it
	Reason  string
}

// Skips reads the list: a pattern and a reason a line, # before comments. A pattern
// that no case matches is an error.
func Skips() ([]Skip, error) {
	cases, err := Cases()
	if err != nil {
		return nil, err
	}
	var out []Skip
	for i, line := range strings.Split(skips, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		pattern, reason, _ := strings.Cut(line, " ")
		s := Skip{pattern, strings.TrimSpace(reason)}
		if _, err := path.Match(pattern, ""); err != nil || s.Reason == "" {
			return nil, fmt.Errorf("skip.txt:%d: %q is not PATTERN REASON", i+1, line)
		}
		if !s.matchesAny(cases) {
			return nil, fmt.Errorf("skip.txt:%d: no case is called %q", i+1, pattern)
		}
		out = append(out, s)
	}
	return out, nil
}

func (s Skip) matchesAny(cases []*Case) bool {
	for _, c := range cases {
		if s.matches(c) {
			return true
		}
	}
	return false
}

func (s Skip) matches(c *Case) bool {
	ok, err := path.Match(s.Pattern, c.String())
	return ok && err == nil
}

// skipped returns the first line that matches a case, or nil.
func skipped(list []Skip, c *Case) *Skip {
	for i := range list {
		if list[i].matches(c) {
			return &list[i]
		}
	}
	return nil
}
