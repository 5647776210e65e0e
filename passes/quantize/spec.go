package quantize

import (
	"errors"
	"fmt"
	"slices"

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
	late   bool // rules before it took a node that it matches
}

// ParseSpec reads a list of PATH=FORMAT, or one FORMAT for all, where FORMAT is
//
//	TYPE[:BLOCK][:asym][:scales8][:METHOD]
//
// TYPE is int4, int8, fp16, bf16 or keep; BLOCK how many numbers share a scale, 32
// by itself; asym gives blocks zero points; scales8 stores scales as codes of 8 bits and a
// factor for each row, and not as float16; METHOD is round, refine or gptq. PATH
// is a canonical path and all below it, such as llm, head or llm.layers.0-3.mlp,
// or a /regular expression/ over paths and the exporter's names.
func ParseSpec(text string) (*Spec, error) {
	s := &Spec{Text: text}
	for _, part := range graph.SplitPatterns(text) {
		pattern, format, found := graph.CutPattern(part)
		if found && pattern == "" {
			return nil, fmt.Errorf("%w: %q is not PATH=FORMAT", ErrSpec, part)
		}
		f, err := parseFormat(format)
		if err != nil {
			return nil, err
		}
		match, err := graph.ParsePattern(pattern)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSpec, err)
		}
		s.rules = append(s.rules, rule{text: part, format: f, match: match})
	}
	return s, nil
}

// formatOf returns what the spec says of a node; ok is false where it says
// nothing.
func (s *Spec) formatOf(n *graph.Node) (f Format, ok bool) {
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case !r.match(n):
		case ok:
			r.late = true
		default:
			r.used, f, ok = true, r.format, true
		}
	}
	return f, ok
}

// Codes reports whether a node's weight will be stored in codes, unless it turns out that
// it cannot. The nil Spec leaves all as they are.
func (s *Spec) Codes(n *graph.Node) bool {
	if s == nil {
		return false
	}
	if w, _, _ := weightOf(n); w == nil {
		return false
	}
	i := slices.IndexFunc(s.rules, func(r rule) bool { return r.match(n) })
	return i >= 0 && s.rules[i].format.bits() > 0
}

// check names the first rule that matched nothing: it is misspelled.
func (s *Spec) check() error {
	for _, r := range s.rules {
		if !r.used && r.late {
			return fmt.Errorf("%w: rules before %q took all that it matches: put it before them", ErrSpec, r.text)
		}
		if !r.used {
			return fmt.Errorf("%w: %q matches no weights in floats: a path is misspelled, or what is there is quantised already", ErrSpec, r.text)
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

// Calibrates reports whether calibration data change what a rule chooses: it leaves the
// method open, or asks for them.
func (s *Spec) Calibrates() bool {
	return slices.ContainsFunc(s.rules, func(r rule) bool {
		return r.format.bits() > 0 && (r.format.Method == "" || r.format.Method == GPTQ)
	})
}
