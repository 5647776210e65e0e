package partition

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"mnnconv/graph"
)

// RuleFile is what a file of placement rules says.
type RuleFile struct {
	Rules  []Rule // pins first, then the others, then the fallback
	Memory Policy
}

// maxRuleFile bounds a file of rules, in bytes.
const maxRuleFile = 1 << 20

// LoadRules reads a YAML file of rules:
//
//	pin:                        # win over every rule
//	  - llm.layers.0.attn=cpu
//	place:                      # the first that matches wins
//	  - vision=cuda:0
//	  - llm: opencl:0           # the same as llm=opencl:0
//	fallback: cpu               # for operators that a device lacks
//	memory:                     # as the flag --memory
//	  - cuda:0=limit:6GiB
//	spaces:
//	  opencl:0: {limit: 8GiB, keep: [constants, state], release: {vision: after-encode}}
//
// Aliases are refused. Errors wrap ErrRules or ErrPolicy and say line and column.
func LoadRules(path string) (*RuleFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRuleFile {
		return nil, fmt.Errorf("%s: %w: not a regular file of at most %d bytes", path, ErrRules, maxRuleFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseRuleFile(path, data)
}

func parseRuleFile(path string, data []byte) (*RuleFile, error) {
	r := &ruleReader{path: path, file: &RuleFile{Memory: Policy{}}}
	var doc yaml.Node
	if len(bytes.TrimSpace(data)) > 0 {
		if err := yaml.Load(data, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", path, ErrRules, err)
		}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, fmt.Errorf("%s: %w: the file is empty; expected %s", path, ErrRules, strings.Join(r.keys(), ", "))
	}
	if err := r.read(doc.Content[0]); err != nil {
		return nil, err
	}
	r.file.Rules = append(append(r.pins, r.place...), r.fallback...)
	return r.file, nil
}

// ruleReader reads one file.
type ruleReader struct {
	path                  string
	file                  *RuleFile
	pins, place, fallback []Rule
}

func (r *ruleReader) keys() []string {
	return []string{"pin", "place", "fallback", "memory", "spaces"}
}

// fail is an error at a node's place.
func (r *ruleReader) fail(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s: line %d, column %d: %w", r.path, n.Line, n.Column, fmt.Errorf(format, args...))
}

func (r *ruleReader) read(root *yaml.Node) error {
	return r.mapping(root, r.keys(), func(key string, n *yaml.Node) error {
		switch key {
		case "pin", "place":
			return r.rules(n, key == "pin")
		case "fallback":
			device, err := r.text(n)
			if err != nil {
				return err
			}
			r.fallback = []Rule{FallbackTo(device)}
			return nil
		case "memory":
			return r.list(n, func(n *yaml.Node) error {
				text, err := r.text(n)
				if err != nil {
					return err
				}
				if err := r.file.Memory.Parse(text); err != nil {
					return r.fail(n, "%w", err)
				}
				return nil
			})
		default:
			return r.mapping(n, nil, r.space)
		}
	})
}

// rules reads a list of PATH=DEVICE or {PATH: DEVICE}.
func (r *ruleReader) rules(n *yaml.Node, pin bool) error {
	add := func(n *yaml.Node, text string) error {
		rules, err := ParseRules(text)
		if err == nil && len(rules) != 1 {
			err = fmt.Errorf("%w: %q is not PATH=DEVICE", ErrRules, text)
		}
		if err != nil {
			return r.fail(n, "%w", err)
		}
		rule := rules[0]
		rule.Pin, rule.Source = pin, fmt.Sprintf("%s, line %d", r.path, n.Line)
		if pin {
			r.pins = append(r.pins, rule)
		} else {
			r.place = append(r.place, rule)
		}
		return nil
	}
	return r.list(n, func(n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			text, err := r.text(n)
			if err != nil {
				return err
			}
			return add(n, text)
		}
		return r.mapping(n, nil, func(path string, n *yaml.Node) error {
			device, err := r.text(n)
			if err != nil {
				return err
			}
			return add(n, path+"="+device)
		})
	})
}

// space reads the policy of one space.
func (r *ruleReader) space(name string, n *yaml.Node) error {
	space := graph.Space(canonicalDevice(name))
	s := r.file.Memory[space]
	err := r.mapping(n, []string{"limit", "keep", "release"}, func(key string, n *yaml.Node) error {
		switch key {
		case "limit":
			text, err := r.text(n)
			if err != nil {
				return err
			}
			if s.Limit > 0 {
				return r.fail(n, "%w: %s has two limits", ErrPolicy, space)
			}
			if s.Limit, err = ParseSize(text); err != nil {
				return r.fail(n, "%w: %w", ErrPolicy, err)
			}
			s.Source = fmt.Sprintf("%s, line %d", r.path, n.Line)
			return nil
		case "keep":
			return r.list(n, func(n *yaml.Node) error {
				what, err := r.text(n)
				s.Keep = append(s.Keep, what)
				return err
			})
		default:
			return r.mapping(n, nil, func(stage string, n *yaml.Node) error {
				when, err := r.text(n)
				if err != nil {
					return err
				}
				if when != "after-encode" && when != "after-extend" {
					return r.fail(n, "%w: release of %s %q: expected after-encode or after-extend", ErrPolicy, stage, when)
				}
				s.Release = append(s.Release, stage)
				return nil
			})
		}
	})
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return r.fail(n, "%w: %w", ErrPolicy, err)
	}
	r.file.Memory[space] = s
	return nil
}

// mapping calls f for every entry; known are the keys it may have, nil: any.
func (r *ruleReader) mapping(n *yaml.Node, known []string, f func(key string, n *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return r.fail(n, "%w: expected KEY: VALUE, found %s", ErrRules, kindOf(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := r.text(n.Content[i])
		if err != nil {
			return err
		}
		if seen[key] {
			return r.fail(n.Content[i], "%w: %q stands twice", ErrRules, key)
		}
		seen[key] = true
		if known != nil && !slices.Contains(known, key) {
			hint := "expected " + strings.Join(known, ", ")
			if near := nearest(key, known); near != "" {
				hint = "did you mean " + near + "?"
			}
			return r.fail(n.Content[i], "%w: unknown key %q; %s", ErrRules, key, hint)
		}
		if err := f(key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (r *ruleReader) list(n *yaml.Node, f func(*yaml.Node) error) error {
	if n.Kind != yaml.SequenceNode {
		return r.fail(n, "%w: expected a list, found %s", ErrRules, kindOf(n))
	}
	for _, e := range n.Content {
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

// text is a scalar as it is written.
func (r *ruleReader) text(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		return "", r.fail(n, "%w: expected a text, found %s", ErrRules, kindOf(n))
	}
	return n.Value, nil
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which is not followed here: write the value out"
	case yaml.ScalarNode:
		if n.Value == "" || n.Tag == "!!null" {
			return "nothing"
		}
		return fmt.Sprintf("%q", n.Value)
	}
	return "nothing"
}
