// Package onnxgo runs programs written for github.com/owulveryck/onnx-go on this
// module's runtime: [Graph] is a computation backend for onnx.NewModel.
//
// What flows in: the nodes, edges and operations of a model that onnx-go decodes,
// and tensors of gorgonia.org/tensor. What flows out: tensors likewise. onnx-go does
// not tell a backend a model's opset, has no subgraphs and knows the operators of
// its time by name; what it cannot hand over, this package cannot run. The importer
// of this module, schemas/onnx, has none of these limits.
package onnxgo

import (
	"fmt"
	"math"

	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"

	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
)

// DefaultOpset is the version of ai.onnx that operations are taken to be of: the
// newest one when onnx-go was written.
const DefaultOpset = 11

// Options say where a graph runs.
type Options struct {
	Opset    int               // of the model; 0: DefaultOpset
	Backends []runtime.Backend // nil: the processor
	Place    string            // placement rules, see partition.ParseRules; empty: the processor
}

// Graph is a computation graph that onnx-go fills and that Run executes. It is used
// by one goroutine at a time. Close it when it is no longer needed.
type Graph struct {
	*simple.WeightedDirectedGraph
	o      Options
	table  op.Table
	inputs map[int64][]*Node // of the node that an operation makes, in order
	ops    []operation
	loaded bool // an operation came: tensors set from here on are inputs
	ready  *program
}

// operation is one operator with the nodes that it makes.
type operation struct {
	onnx.Operation
	outputs []*Node
}

// Node is one value of the graph.
type Node struct {
	id    int64
	g     *Graph
	name  string
	doc   string
	value tensor.Tensor
	given bool // value was set after the operations were known
	made  bool // by an operation
}

var (
	_ backend.ComputationBackend = (*Graph)(nil)
	_ onnx.DataCarrier           = (*Node)(nil)
	_ onnx.Namer                 = (*Node)(nil)
	_ onnx.Documenter            = (*Node)(nil)
)

// NewGraph returns an empty graph.
func NewGraph(o Options) *Graph {
	if o.Opset == 0 {
		o.Opset = DefaultOpset
	}
	table := op.All()
	if o.Backends == nil {
		o.Backends = []runtime.Backend{&cpu.Backend{Table: table}}
	}
	return &Graph{
		WeightedDirectedGraph: simple.NewWeightedDirectedGraph(math.MaxFloat64, -1),
		o:                     o, table: table, inputs: map[int64][]*Node{},
	}
}

// NewNode returns a node that is not part of the graph yet.
func (g *Graph) NewNode() gonum.Node {
	return &Node{id: g.WeightedDirectedGraph.NewNode().ID(), g: g}
}

// SetWeightedEdge says that the node an edge comes from reads the one it goes to,
// as the input that its weight counts. An operation may read a node twice, which an
// edge of the graph cannot say.
func (g *Graph) SetWeightedEdge(e gonum.WeightedEdge) {
	to, ok := e.To().(*Node)
	if i := e.Weight(); ok && i >= 0 && i < 1<<16 {
		id := e.From().ID()
		for len(g.inputs[id]) <= int(i) {
			g.inputs[id] = append(g.inputs[id], nil)
		}
		g.inputs[id][int(i)] = to
	}
	g.WeightedDirectedGraph.SetWeightedEdge(e)
}

// ApplyOperation makes the nodes the outputs of an operation on what their edges
// lead to. An operator that is not known is an *onnx.ErrNotImplemented.
func (g *Graph) ApplyOperation(o onnx.Operation, nodes ...gonum.Node) error {
	g.loaded = true
	if g.table[op.Key{Name: o.Name}] == nil {
		return &onnx.ErrNotImplemented{Operator: o.Name, Message: "mnnconv has no such operator of ai.onnx"}
	}
	a := operation{Operation: o}
	for _, n := range nodes {
		m, ok := n.(*Node)
		if !ok || m.g != g {
			return fmt.Errorf("operator %s: a node of another graph", o.Name)
		}
		if m.name == "" { // an output that is not wanted
			m = nil
		} else {
			m.made = true
		}
		a.outputs = append(a.outputs, m)
	}
	if len(a.outputs) == 0 {
		return fmt.Errorf("operator %s: no outputs", o.Name)
	}
	g.ops = append(g.ops, a)
	return nil
}

// ID returns the node's number, from 0 in the order of their making.
func (n *Node) ID() int64 { return n.id }

// SetName names the node as the model does.
func (n *Node) SetName(name string) { n.name = name }

// GetName returns the node's name.
func (n *Node) GetName() string { return n.name }

// SetDescription keeps a text.
func (n *Node) SetDescription(doc string) { n.doc = doc }

// GetDescription returns the text.
func (n *Node) GetDescription() string { return n.doc }

// SetTensor gives the node a value: a weight or a placeholder while the model is
// decoded, an input afterwards.
func (n *Node) SetTensor(t tensor.Tensor) error {
	n.value, n.given = t, n.g.loaded
	return nil
}

// GetTensor returns the value, after Run also of outputs.
func (n *Node) GetTensor() tensor.Tensor { return n.value }
