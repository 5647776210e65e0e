package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// Fields of a GraphProto.
const (
	graphNode   = 1
	graphWeight = 5
	graphSparse = 15
)

// graph decodes a GraphProto. parent is the scope around a body; for the
// outermost graph it holds only opset imports.
func (d *decoder) graph(at span, parent *scope, depth int) (*scope, error) {
	s := parent.inside(graph.New(""))
	if parent.g == nil {
		s.parent = nil
	}
	if s.levels > d.o.MaxGraphDepth {
		return nil, limited("byte %d: subgraphs and functions nested more than %d deep", at.at, d.o.MaxGraphDepth)
	}
	p := &pb.GraphProto{}
	nodes := 0
	type weight struct {
		name string
		t    *graph.Tensor
	}
	var weights []weight
	err := d.message(at, depth, p, held{1<<graphNode | 1<<graphWeight | 1<<graphSparse, func(num protowire.Number, s span) error {
		read := d.tensor
		switch num {
		case graphNode:
			return counted(&nodes, d.o.MaxNodes-d.nodeCount, s, "nodes")
		case graphSparse:
			read = d.sparse
		}
		name, t, err := read(s)
		weights = append(weights, weight{name, t})
		return err
	}})
	if err != nil {
		return nil, err
	}
	g := s.g
	g.Name, g.Doc = p.GetName(), p.GetDocString()
	if err := d.name(g.Name); err != nil {
		return nil, err
	}
	fail := func(err error) (*scope, error) { return nil, within(err, "graph %s", quote(g.Name)) }
	if g.Meta, err = d.meta(p.GetMetadataProps()); err != nil {
		return fail(err)
	}
	for _, infos := range [][]*pb.ValueInfoProto{p.GetValueInfo(), p.GetOutput()} {
		for _, info := range infos {
			if info.GetType().GetValue() != nil || s.types[info.GetName()] == nil {
				s.types[info.GetName()] = info
			}
		}
	}
	for _, w := range weights {
		v, err := d.define(s, w.name, nil, "an initializer")
		if err != nil {
			return fail(err)
		}
		v.Const, v.Type = w.t, w.t.Type()
	}
	seen := map[string]bool{}
	for _, info := range p.GetInput() {
		name := info.GetName()
		if v := s.names[name]; v != nil && v.Const != nil && !seen[name] {
			seen[name] = true
			continue // an input with a default, as all initializers before IR version 4: the constant wins
		}
		s.types[name] = info
		v, err := d.define(s, name, nil, "a graph input")
		if err != nil {
			return fail(err)
		}
		if s.parent == nil && v.Type.Kind == graph.TensorKind && v.Type.DType == graph.Undefined {
			return fail(malformed("graph input %s has no type", quote(name)))
		}
		seen[name] = true
		g.Inputs = append(g.Inputs, v)
	}
	if err := d.nodes(s, at, graphNode, nodes, depth+1); err != nil {
		return fail(err)
	}
	for i, info := range p.GetOutput() {
		v, ok := s.resolve(info.GetName())
		if !ok || v == nil {
			return fail(malformed("graph output %d, %s, is never produced", i, quote(info.GetName())))
		}
		g.Outputs = append(g.Outputs, v)
	}
	if err := d.readStates(s, p.GetOutput()); err != nil {
		return fail(err)
	}
	if err := order(g); err != nil {
		return fail(err)
	}
	return s, nil
}
