package onnx

import (
	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// Function is a model-local function: what an operator that ONNX lacks does,
// in operators that any runtime has.
type Function struct {
	Domain, Name string
	Attrs        []string     // its attributes; nodes refer to them with [Ref]
	Graph        *graph.Graph // inputs, outputs and nodes; constants become Constant nodes
}

func (f Function) key() functionKey { return functionKey{f.Domain, f.Name, ""} }

// constantVersion is the opset of a function's Constant nodes if none of its
// own nodes is of ai.onnx.
const constantVersion = 13

func (e *encoder) function(f Function) (*pieces, error) {
	names := map[string]bool{}
	scopes := []map[string]bool{names}
	head := &pb.FunctionProto{Name: f.Name, Attribute: f.Attrs}
	define := func(v *graph.Value) error {
		if v == nil {
			return nil
		}
		return e.name(v, scopes)
	}
	for _, v := range f.Graph.Inputs {
		if err := define(v); err != nil {
			return nil, err
		}
		head.Input = append(head.Input, e.nameOf(v))
	}
	opsets := map[string]int64{}
	for _, n := range f.Graph.Nodes {
		for _, v := range n.Outputs {
			if err := define(v); err != nil {
				return nil, err
			}
		}
		if err := imports(opsets, n); err != nil {
			return nil, within(err, "%s", describe(n))
		}
	}
	for _, v := range f.Graph.Outputs {
		head.Output = append(head.Output, e.nameOf(v))
	}
	p := &pieces{}
	if err := p.proto(head); err != nil {
		return nil, err
	}
	nodes := []*graph.Node{}
	for _, v := range constantsOf(f.Graph) {
		if err := define(v); err != nil {
			return nil, err
		}
		if opsets[""] == 0 {
			opsets[""] = constantVersion
		}
		nodes = append(nodes, &graph.Node{
			Op: "Constant", Version: int(opsets[""]), Outputs: []*graph.Value{v},
			Attrs: []graph.Attr{{Name: "value", Value: v.Const}},
		})
	}
	inner := &encoder{o: e.o, opsets: opsets, names: e.names, states: e.states}
	inner.o.Data = nil // a function's constants stay with it
	for _, n := range append(nodes, f.Graph.Nodes...) {
		q, err := inner.node(n, scopes)
		if err != nil {
			return nil, within(err, "%s", describe(n))
		}
		p.message(7, q)
	}
	return p, p.proto(&pb.FunctionProto{DocString: f.Graph.Doc, OpsetImport: opsetProtos(opsets), Domain: f.Domain})
}
