package qwen25vl

import (
	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// store has the state keep keys and values as d; Undefined: as it does.
func (x *extend) store(d graph.DType, table op.Table) error {
	if d == graph.Undefined {
		return nil
	}
	return passes.StateType(x.graph, d, table)
}
