package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// parsedNode is a NodeProto whose outputs are defined and whose inputs and
// attributes are not looked up yet.
type parsedNode struct {
	*graph.Node
	at       span
	inputs   []string
	attrs    int
	overload string
}

const nodeAttribute = 5 // the field of a NodeProto's attributes

// nodes decodes the n nodes in field num of the graph or function at into s.g:
// first what they define, then what they read, since they may stand in any order.
func (d *decoder) nodes(s *scope, at span, num protowire.Number, n, depth int) error {
	if err := d.take(96 * int64(n)); err != nil {
		return err
	}
	parsed := make([]parsedNode, 0, n)
	err := at.each("nodes", func(f field) error {
		if f.num != num {
			return nil
		}
		parsed = append(parsed, parsedNode{at: f.span})
		return d.parseNode(s, &parsed[len(parsed)-1], depth)
	})
	if err != nil {
		return err
	}
	for i := range parsed {
		p := &parsed[i]
		if err := d.finishNode(s, p, depth); err != nil {
			return within(err, "%s", describe(p.Node))
		}
	}
	return nil
}

func (d *decoder) parseNode(s *scope, p *parsedNode, depth int) error {
	if err := d.one("nodes", &d.nodeCount, d.o.MaxNodes, 240); err != nil {
		return err
	}
	m := &pb.NodeProto{}
	err := d.message(p.at, depth, m, held{1 << nodeAttribute, func(_ protowire.Number, s span) error {
		return counted(&p.attrs, d.o.MaxAttrs-d.attrs, s, "attributes")
	}})
	if err != nil {
		return err
	}
	n := &graph.Node{Name: m.GetName(), Domain: domainOf(m.GetDomain()), Op: m.GetOpType()}
	p.Node, p.inputs, p.overload = n, m.GetInput(), m.GetOverload()
	for _, name := range []string{n.Name, n.Domain, n.Op} {
		if err := d.name(name); err != nil {
			return err
		}
	}
	if s.call != nil && n.Name != "" {
		n.Name = s.call.prefix + n.Name
		if err := d.name(n.Name); err != nil {
			return err
		}
	}
	if n.Op == "" {
		return malformed("byte %d: node %s has no operator", p.at.at, quote(n.Name))
	}
	if n.Meta, err = d.meta(m.GetMetadataProps()); err != nil {
		return within(err, "%s", describe(n))
	}
	d.readNode(n)
	if err := d.take(16 * int64(len(m.GetInput())+len(m.GetOutput()))); err != nil {
		return err
	}
	n.Outputs = make([]*graph.Value, len(m.GetOutput()))
	for i, name := range m.GetOutput() {
		if name == "" {
			continue
		}
		v, err := s.call.output(s, name)
		if v == nil && err == nil {
			v, err = d.define(s, name, n, "")
		}
		if err != nil {
			return err
		}
		v.Def, v.Index = n, i
		n.Outputs[i] = v
	}
	return nil
}

func (d *decoder) finishNode(s *scope, p *parsedNode, depth int) error {
	n := p.Node
	n.Inputs = make([]*graph.Value, len(p.inputs))
	for i, name := range p.inputs {
		if name == "" {
			continue
		}
		v, ok := s.resolve(name)
		if !ok {
			return malformed("input %d reads %s, which nothing produces", i, quote(name))
		}
		n.Inputs[i] = v
	}
	if err := d.attributes(s, p, depth); err != nil {
		return err
	}
	if f := d.functions[functionKey{n.Domain, n.Op, p.overload}]; f != nil && n.Domain != "mnnconv" {
		return d.inline(s, n, f)
	}
	version, ok := s.opsets[n.Domain]
	if !ok {
		return malformed("no version of %s is imported", domainName(n.Domain))
	}
	n.Version = int(version)
	if err := checkBodies(n); err != nil {
		return err
	}
	s.g.Append(n)
	return nil
}

func (d *decoder) attributes(s *scope, p *parsedNode, depth int) error {
	if p.attrs == 0 {
		return nil
	}
	if err := d.take(96 * int64(p.attrs)); err != nil {
		return err
	}
	p.Attrs = make([]graph.Attr, 0, p.attrs)
	seen := make(map[string]bool, p.attrs)
	return p.at.each("NodeProto", func(f field) error {
		if f.num != nodeAttribute {
			return nil
		}
		name, err := d.attribute(s, p.Node, f.span, depth+1)
		if err != nil {
			return err
		}
		if seen[name] {
			return malformed("attribute %s is given twice", quote(name))
		}
		seen[name] = true
		return nil
	})
}

// meta converts metadata properties; none give nil.
func (d *decoder) meta(list []*pb.StringStringEntryProto) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(list))
	for _, e := range list {
		if err := d.name(e.GetKey()); err != nil {
			return nil, err
		}
		if err := d.take(96 + int64(len(e.GetValue()))); err != nil {
			return nil, err
		}
		m[e.GetKey()] = e.GetValue()
	}
	return m, nil
}

// domainOf returns the short name of a domain: ai.onnx is "".
func domainOf(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

// domainName is the name of a domain for messages.
func domainName(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return "domain " + quote(domain)
}

// checkBodies checks the counts of inputs and outputs of If's and Loop's
// bodies; types are checked by the operators.
func checkBodies(n *graph.Node) error {
	switch {
	case n.Is("If"):
		for _, b := range n.Bodies {
			if len(b.Graph.Inputs) != 0 || len(b.Graph.Outputs) < len(n.Outputs) {
				return malformed("%s has %d inputs and %d outputs, must have 0 and %d",
					quote(b.Attr), len(b.Graph.Inputs), len(b.Graph.Outputs), len(n.Outputs))
			}
		}
	case n.Is("Loop"):
		for _, b := range n.Bodies {
			carried := max(len(n.Inputs)-2, 0)
			if ins, outs := 2+carried, 1+max(len(n.Outputs), carried); len(b.Graph.Inputs) != ins || len(b.Graph.Outputs) < outs {
				return malformed("%s has %d inputs and %d outputs, must have %d and at least %d",
					quote(b.Attr), len(b.Graph.Inputs), len(b.Graph.Outputs), ins, outs)
			}
		}
	}
	return nil
}
