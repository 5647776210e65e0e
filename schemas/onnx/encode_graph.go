package onnx

import (
	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// graph encodes g. A body may not reuse a name of the graphs around it, which
// around lists: its own values get other names then.
func (e *encoder) graph(g *graph.Graph, around []map[string]bool) (*pieces, error) {
	constants := constantsOf(g)
	taken := map[string]bool{}
	inner := append(around[:len(around):len(around)], taken)
	for _, list := range [][]*graph.Value{g.Inputs, constants} {
		for _, v := range list {
			if err := e.name(v, inner); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			if err := e.name(v, inner); err != nil {
				return nil, err
			}
		}
	}

	for _, s := range g.States {
		e.states[s.Out] = e.nameOf(s.In)
	}

	p := &pieces{}
	for _, n := range g.Nodes {
		q, err := e.node(n, inner)
		if err == nil {
			err = imports(e.opsets, n)
		}
		if err != nil {
			return nil, within(err, "%s", describe(n))
		}
		p.message(1, q)
	}
	if err := p.proto(&pb.GraphProto{Name: g.Name}); err != nil {
		return nil, err
	}
	for _, v := range constants {
		q, err := e.tensor(e.nameOf(v), v.Const, e.o.Data)
		if err != nil {
			return nil, within(err, "initializer %s", quote(v.Name))
		}
		p.message(5, q)
	}
	tail := &pb.GraphProto{DocString: g.Doc, MetadataProps: metaProtos(g.Meta)}
	listed := map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		tail.Input = append(tail.Input, e.info(v))
		listed[v] = true
	}
	for _, v := range g.Outputs {
		tail.Output = append(tail.Output, e.info(v))
		listed[v] = true
	}
	for _, v := range constants {
		if !listed[v] && len(e.annotateValue(v)) > 0 {
			tail.ValueInfo = append(tail.ValueInfo, e.info(v))
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && !listed[v] && (e.typeProto(v) != nil || len(e.annotateValue(v)) > 0) {
				tail.ValueInfo = append(tail.ValueInfo, e.info(v))
			}
		}
	}
	return p, p.proto(tail)
}

// constantsOf returns the constants that g uses, in order of first use. A
// capture of a constant belongs to the graph around.
func constantsOf(g *graph.Graph) []*graph.Value {
	var list []*graph.Value
	seen := make(map[*graph.Value]bool, g.NumValues())
	for _, v := range g.Captures {
		seen[v] = true
	}
	add := func(v *graph.Value) {
		if v.Const != nil && !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	for _, n := range g.Nodes {
		n.Reads(add)
	}
	for _, v := range g.Outputs {
		add(v)
	}
	return list
}

// name chooses the name of a value that the innermost graph of scopes defines.
func (e *encoder) name(v *graph.Value, scopes []map[string]bool) error {
	own := scopes[len(scopes)-1]
	if v.Name == "" {
		return malformed("value %d has no name", v.ID)
	}
	if own[v.Name] {
		return malformed("two values are called %s", quote(v.Name))
	}
	name := v.Name
	for n := (namer{}); ; name = n.fresh(v.Name) {
		used := false
		for _, s := range scopes {
			used = used || s[name]
		}
		if !used {
			break
		}
	}
	own[name] = true
	if name != v.Name {
		e.names[v] = name
	}
	return nil
}

// nameOf returns the name of a value in the file; no value has no name.
func (e *encoder) nameOf(v *graph.Value) string {
	if v == nil {
		return ""
	}
	if name, ok := e.names[v]; ok {
		return name
	}
	return v.Name
}

// info describes a value: its type, and what metadata keeps.
func (e *encoder) info(v *graph.Value) *pb.ValueInfoProto {
	return &pb.ValueInfoProto{Name: e.nameOf(v), Type: e.typeProto(v), MetadataProps: metaProtos(e.annotateValue(v))}
}
