package qwen25vl

import (
	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// retype has parts of the model compute in other types of float.
func (m *Model) retype(t *passes.Types, table op.Table) error {
	var graphs []*graph.Graph
	if m.encode != nil {
		graphs = append(graphs, m.encode.graph)
	}
	if m.extend != nil {
		graphs = append(graphs, m.extend.graph)
	}
	for _, g := range graphs {
		notes, err := t.Apply(g, table)
		if err != nil {
			return err
		}
		m.Notes = append(m.Notes, notes...)
	}
	return t.Check()
}
