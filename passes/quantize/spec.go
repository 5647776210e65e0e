package quantize

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// ErrSpec: the text of a specification or a budget cannot be read, or asks for
// what there is not.
var ErrSpec = errors.New("quantisation")

// Spec says what is stored how: the first rule that matches a node decides, and
// what no rule matches stays as it is.
type Spec struct {
	Text  string
	rules []rule
}

type rule struct {
	text   string
	format Format
	match  func(n *graph.Node) bool
	used   bool
}

// ParseSpec reads a list of PATH=FORMAT, or one FORMAT for all, where FORMAT is
//
//	TYPE[:BLOCK][:asym][:METHOD]
//
// TYPE is int4, int8, fp16, bf16 or keep; BLOCK how many numbers share a scale, 32
// by itself; asym gives blocks zero points; METHOD is round, refine or gptq. PATH
// is a canonical path and all below it, such as llm, head or llm.layers.0-3.mlp,
// or a /regular expression/ over paths and the exporter's names.
func ParseSpec(text string) (*Spec, error) {
	s := &Spec{Text: text}
	for _, part := range splitRules(text) {
		pattern, format := "", part
		if i := strings.LastIndex(part, "="); i >= 0 {
			pattern, format = strings.TrimSpace(part[:i]), strings.TrimSpace(part[i+1:])
			if pattern == "" {
				return nil, fmt.Errorf("%w: %q is not PATH=FORMAT", ErrSpec, part)
			}
		}
		f, err := parseFormat(format)
		if err != nil {
			return nil, err
		}
		match, err := matcher(pattern)
		if err != nil {
			return nil, err
		}
		s.rules = append(s.rules, rule{text: part, format: f, match: match})
	}
	return s, nil
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

// matcher matches nodes; an empty pattern matches all.
func matcher(pattern string) (func(*graph.Node) bool, error) {
	if inner, ok := strings.CutPrefix(pattern, "/"); ok {
		inner, ok = strings.CutSuffix(inner, "/")
		if !ok || inner == "" {
			return nil, fmt.Errorf("%w: %q is not a regular expression between slashes", ErrSpec, pattern)
		}
		re, err := regexp.Compile(inner)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no regular expression: %w", ErrSpec, pattern, err)
		}
		return func(n *graph.Node) bool { return re.MatchString(n.Path) || re.MatchString(n.Name) }, nil
	}
	if pattern == "" {
		return func(*graph.Node) bool { return true }, nil
	}
	want := strings.Split(pattern, ".")
	return func(n *graph.Node) bool {
		have := strings.Split(n.Path, ".")
		if len(have) < len(want) {
			return false
		}
		for i, w := range want {
			if have[i] != w && !inRange(have[i], w) {
				return false
			}
		}
		return true
	}, nil
}

// inRange reports whether a part of a path is a number in a range such as 0-17.
func inRange(part, bounds string) bool {
	from, to, found := strings.Cut(bounds, "-")
	lo, err := strconv.Atoi(from)
	hi, err2 := strconv.Atoi(to)
	n, err3 := strconv.Atoi(part)
	return found && err == nil && err2 == nil && err3 == nil && lo <= n && n <= hi
}

// formatOf returns what the spec says of a node; ok is false where it says
// nothing.
func (s *Spec) formatOf(n *graph.Node) (f Format, ok bool) {
	for i := range s.rules {
		if s.rules[i].match(n) {
			s.rules[i].used = true
			return s.rules[i].format, true
		}
	}
	return f, false
}

// check names the first rule that matched nothing: it is misspelled.
func (s *Spec) check() error {
	for _, r := range s.rules {
		if !r.used {
			return fmt.Errorf("%w: %q matches no weights that can be stored so", ErrSpec, r.text)
		}
	}
	return nil
}

// Calibrated reports whether a rule asks for calibration data.
func (s *Spec) Calibrated() bool {
	for _, r := range s.rules {
		if r.format.Method == GPTQ {
			return true
		}
	}
	return false
}
