package onnx

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// scope maps the names of one graph, body or inlined function to values.
type scope struct {
	g      *graph.Graph
	parent *scope // the graph around a body; a function sees nothing around it
	names  map[string]*graph.Value
	outer  []*graph.Value // of a body: what its captures stand for
	opsets map[string]int64
	types  map[string]*pb.ValueInfoProto
	call   *call // of a function and its bodies: what it was called with
	levels int   // graphs and calls around it
}

// inside returns the scope of a body in s.
func (s *scope) inside(g *graph.Graph) *scope {
	return &scope{
		g: g, parent: s, names: map[string]*graph.Value{}, opsets: s.opsets,
		types: map[string]*pb.ValueInfoProto{}, call: s.call, levels: s.levels + 1,
	}
}

// define makes the value of a name, the output of a node or, without one, what
// kind says. A name may be defined once in a scope. What a body has before its
// first node, initializers and inputs, may bear a name of a graph around it and
// hides that: onnxruntime and onnxslim write such models. An output of a node may
// not, since nodes before it could mean either.
func (d *decoder) define(s *scope, name string, by *graph.Node, kind string) (*graph.Value, error) {
	if err := d.name(name); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, malformed("%s has no name", kind)
	}
	hides := false
	for e := s; e != nil; e = e.parent {
		if first, twice := e.names[name]; twice {
			if hides = e != s && by == nil; hides {
				break
			}
			where := ""
			if e != s {
				where = ", in the graph around this one"
			}
			if by != nil {
				kind = describe(by)
			}
			return nil, malformed("%s defines %s, which %s defines already%s", kind, quote(name), definer(first), where)
		}
	}
	if err := d.take(320); err != nil {
		return nil, err
	}
	unique := d.unique(s, name, hides)
	if len(unique) > len(name) {
		if err := d.name(unique); err != nil {
			return nil, err
		}
	}
	v := s.g.NewValue(unique, graph.Type{})
	if info := s.types[name]; info != nil {
		var err error
		if v.Type, v.Hints, err = d.typeOf(info.GetType(), d.stemOf(v.Name)); err != nil {
			return nil, within(err, "value %s", quote(name))
		}
		if err := d.readValue(v, info); err != nil {
			return nil, within(err, "value %s", quote(name))
		}
	}
	s.names[name] = v
	return v, nil
}

// unique returns the name that a value gets in the graph: its own, unless it is
// part of an inlined function, whose names get the call's name before them, or
// hides one of the graphs around it.
func (d *decoder) unique(s *scope, name string, hides bool) string {
	out := name
	if s.call != nil {
		out = s.call.prefix + name
	}
	if s.call != nil || hides || d.generated[out] {
		out = d.names.fresh(out)
		d.generated[out] = true
	}
	d.names.claim(out)
	return out
}

// stemOf returns a function that makes the stem of a value's symbols when it
// is first needed.
func (d *decoder) stemOf(name string) func() string {
	stem := ""
	return func() string {
		if stem == "" {
			stem = d.stem(name)
		}
		return stem
	}
}

// resolve finds the value that a name means in s. A value of the graph around
// becomes a capture. The value is nil for a function's input that the call
// leaves out.
func (s *scope) resolve(name string) (v *graph.Value, ok bool) {
	if v, ok = s.names[name]; ok || s.parent == nil {
		return v, ok
	}
	o, ok := s.parent.resolve(name)
	if !ok || o == nil {
		return nil, ok
	}
	t := o.Type
	t.Space = "" // a body lives where its node does
	v = s.g.NewValue(o.Name, t)
	v.Hints = o.Hints
	s.g.Captures = append(s.g.Captures, v)
	s.outer = append(s.outer, o)
	s.names[name] = v
	return v, true
}

// definer says what defines a value, for messages.
func definer(v *graph.Value) string {
	switch {
	case v == nil:
		return "an input of the function"
	case v.Def != nil:
		return describe(v.Def)
	case v.Const != nil:
		return "an initializer"
	}
	return "a graph input"
}

// describe names a node for messages.
func describe(n *graph.Node) string {
	name := n.Name
	if name == "" {
		for _, v := range n.Outputs {
			if v != nil {
				name = v.Name
				break
			}
		}
	}
	return fmt.Sprintf("node %s (%s)", quote(name), shown(n.OpName()))
}

// shown is quote without the quotes, for operators and domains.
func shown(name string) string {
	q := quote(name)
	if q[1:len(q)-1] == name {
		return name
	}
	return q
}
