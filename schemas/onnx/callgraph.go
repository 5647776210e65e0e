package onnx

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// checkCalls refuses functions that call themselves, directly, in a ring, or
// from a body, whether or not the graph calls them.
func (d *decoder) checkCalls(functions []*function) error {
	const active, done = 1, 2
	state := map[*function]int{}
	var ring []string
	var visit func(f *function) error
	visit = func(f *function) error {
		switch state[f] {
		case done:
			return nil
		case active:
			for i, s := range ring {
				if s == f.key.String() {
					ring = ring[i:]
					break
				}
			}
			return malformed("functions call each other in a ring: %s → %s", strings.Join(ring, " → "), f.key)
		}
		if len(ring) >= d.o.MaxGraphDepth {
			return limited("function %s: calls nested more than %d deep", f.key, d.o.MaxGraphDepth)
		}
		state[f] = active
		ring = append(ring, f.key.String())
		err := f.at.each("FunctionProto", func(field field) error {
			if field.num != functionNode {
				return nil
			}
			return d.calls(field.span, functionDepth+1, visit)
		})
		if err != nil {
			return err
		}
		ring = ring[:len(ring)-1]
		state[f] = done
		return nil
	}
	for _, f := range functions {
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// calls visits the functions that a NodeProto calls, itself or from a body.
func (d *decoder) calls(n span, depth int, visit func(*function) error) error {
	if depth > d.o.MaxDepth {
		return limited("byte %d: messages nested more than %d deep", n.at, d.o.MaxDepth)
	}
	var key functionKey
	err := n.each("NodeProto", func(f field) error {
		switch f.num {
		case 4:
			key.name = string(f.b)
		case 7:
			key.domain = domainOf(string(f.b))
		case 8:
			key.overload = string(f.b)
		case 5:
			return f.each("AttributeProto", func(f field) error {
				if f.num != 6 && f.num != 11 || f.typ != protowire.BytesType {
					return nil
				}
				return f.each("GraphProto", func(f field) error {
					if f.num != 1 || f.typ != protowire.BytesType {
						return nil
					}
					return d.calls(f.span, depth+3, visit)
				})
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if f := d.functions[key]; f != nil {
		return visit(f)
	}
	return nil
}
