package qwen25vl

import (
	"fmt"
	"strings"

	"mnnconv/graph"
	"mnnconv/passes"
)

// witnessGrids are grids on which some exporters' own indexes are known to be wrong:
// videos of several frames, of heights that windows do not divide, with more than
// one column of windows. They decide nothing; they tell what was repaired.
var witnessGrids = []Grid{{2, 6, 12}, {3, 10, 18}, {2, 8, 16}, {1, 6, 12}}

// wrongIndexes tells where the graph's own indexes differ from the canonical ones
// that are fed in their place.
func (e *encode) wrongIndexes() []string {
	if e.grid == "" || len(e.grids) < 2 {
		return nil
	}
	wrong := map[string][]string{}
	var order []string
	for _, grid := range witnessGrids {
		ix, err := NewIndexes(e.geometry, grid)
		if err != nil {
			continue
		}
		t := graph.Ints([]int64{grid.T, grid.H, grid.W}, 1, 3)
		probe := passes.Probe{Env: graph.Env{"rows": int64(len(ix.WindowIndex))}, Inputs: map[string]*graph.Tensor{e.grid: t}}
		have, err := passes.Compute(e.hoisted, probe)
		for i, name := range e.meanings {
			if name == "" || err == nil && sameInts(have[i], valuesOf(name)(ix)) {
				continue
			}
			if wrong[name] == nil {
				order = append(order, name)
			}
			if g := grid.String(); len(wrong[name]) == 0 || wrong[name][len(wrong[name])-1] != g {
				wrong[name] = append(wrong[name], g)
			}
		}
	}
	var out []string
	for _, name := range order {
		out = append(out, fmt.Sprintf("the graph's own %s, which is wrong for grids such as %s: the canonical one is fed", name, strings.Join(wrong[name], ", ")))
	}
	return out
}
