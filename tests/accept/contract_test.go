//go:build accept

package accept

import (
	"fmt"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// TestContracts validates every trained export, whole and cut, and wants no false
// alarm and every copy listed.
func TestContracts(t *testing.T) {
	table := op.All()
	for _, export := range []string{"tjs-fp16", "tjs-q4f16", "olive-cpu-int4", "mnn-tied", "torch-dynamo-op23"} {
		for _, place := range []string{"", "vision=sim:0,llm=sim:1"} {
			o := mnnconv.Options{
				Load:     models.Options{Table: table},
				Models:   []models.Kind{qwen25vl.Kind},
				Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}},
				Place:    place,
			}
			source, err := mnnconv.Load(shared("tinyvl/exports", export), o)
			if err != nil {
				t.Fatal(err)
			}
			plans, err := mnnconv.Plan(source, o)
			if err != nil {
				t.Fatal(err)
			}
			set, err := mnnconv.Contracts(source, plans, 0)
			copies, listed := 0, 0
			for _, p := range plans {
				copies += len(p.Copies())
			}
			for _, c := range set.Contracts {
				if c.Edge == partition.CopyEdge {
					listed++
				}
			}
			tests.Row(t, err == nil && listed == copies, fmt.Sprintf("contracts of %s", placement{export: export, place: place}),
				"no violation, every copy listed", "%d tensors, %d of %d copies, violations: %v", len(set.Contracts), listed, copies, err)
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
