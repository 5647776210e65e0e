package qwen25vl

import (
	"slices"
	"strings"

	"mnnconv/graph"
)

// This file leaves of an export's graphs what its family knows. Exports that people
// change, to look at a layer or to keep an old signature, have more.

// only reports whether the file's graph has all the named inputs, and its first output
// is made of no other.
func (f *file) only(names ...string) bool {
	return f.has(names...) && !slices.ContainsFunc(f.read(), func(v *graph.Value) bool { return !slices.Contains(names, v.Name) })
}

// read lists the inputs that the graph's first output is made of.
func (f *file) read() []*graph.Value {
	g := f.model.Graph
	live := map[*graph.Value]bool{g.Outputs[0]: true}
	for _, n := range slices.Backward(g.Nodes) {
		if slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return live[v] }) {
			n.Reads(func(v *graph.Value) { live[v] = true })
		}
	}
	return slices.DeleteFunc(slices.Clone(g.Inputs), func(v *graph.Value) bool { return !live[v] })
}

// trim drops outputs that the family does not know, nodes that worked for these alone,
// and inputs that nothing reads then. Patterns could not take values that are outputs.
func (p *parts) trim() {
	if v := p.vision; v != nil {
		reduce(v.file.model.Graph, []*graph.Value{v.file.output(v.output)})
	}
	if e := p.embed; e != nil && e.file != nil && !e.within {
		reduce(e.file.model.Graph, []*graph.Value{e.file.output(e.output)}, e.ids, e.features)
	}
	if d := p.decoder; d != nil {
		reduce(d.file.model.Graph, d.outputs(), d.input, d.positions)
		if d.head != nil {
			reduce(d.head.model.Graph, d.head.model.Graph.Outputs)
		}
	}
}

// reduce leaves a graph the outputs, and inputs of the kept names or that are read.
func reduce(g *graph.Graph, outputs []*graph.Value, keep ...string) {
	g.Outputs = outputs
	g.RemoveDead()
	uses := g.Uses()
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v *graph.Value) bool {
		return len(uses[v]) == 0 && !slices.Contains(keep, v.Name)
	})
}

// outputs are the logits, or what the head reads, and those of the state: by their
// names, or, where the exporter has other names for them, all of four axes.
func (d *decoderPart) outputs() []*graph.Value {
	all := d.file.model.Graph.Outputs
	ofState := func(v *graph.Value) bool { return d.state != "" && strings.HasPrefix(v.Name, d.state) }
	if !slices.ContainsFunc(all, ofState) {
		ofState = func(v *graph.Value) bool { return len(v.Type.Shape) == 4 }
	}
	first := d.logits
	if d.head != nil {
		first = d.hidden
	}
	return slices.DeleteFunc(slices.Clone(all), func(v *graph.Value) bool { return v.Name != first && !ofState(v) })
}
