package tests

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
)

// memoryMutation breaks a layout or the order of commands for one value.
type memoryMutation struct {
	kind  string
	apply func(p *partition.Plan, m *partition.Memory, cmds []partition.Command, v *graph.Value) bool
	// schedules under which harm is looked for
	schedules []string
}

var memoryMutations = []memoryMutation{
	{"slots overlapping", func(p *partition.Plan, m *partition.Memory, _ []partition.Command, v *graph.Value) bool {
		over := overwriter(p, m, v)
		if over != nil {
			over.Offset = m.Slot(v).Offset
		}
		return over != nil
	}, []string{""}},
	{"release early", func(p *partition.Plan, m *partition.Memory, _ []partition.Command, v *graph.Value) bool {
		over := overwriter(p, m, v)
		if over != nil {
			m.Slot(v).Last = over.First - 1
			over.Offset = m.Slot(v).Offset
		}
		return over != nil
	}, []string{""}},
	{"wait missing", func(p *partition.Plan, _ *partition.Memory, cmds []partition.Command, v *graph.Value) bool {
		dropped := false
		copies := func(i int) bool { return p.Steps[cmds[i].Step].Copy == v.Def }
		for i := range cmds { // what the copy waits for, and what waits for the copy
			cmds[i].Waits = slices.DeleteFunc(cmds[i].Waits, func(w int) bool {
				drop := copies(i) || copies(w)
				dropped = dropped || drop
				return drop
			})
		}
		return dropped
	}, []string{"random:1", "random:2", "random:3", "random:4", "random:5", "random:6", "random:7", "random:8", "random:9", "random:10", "overlap"}},
}

// overwriter is a slot that is written between the making of v and its last
// reading, in the same space.
func overwriter(p *partition.Plan, m *partition.Memory, v *graph.Value) *partition.Slot {
	mine := m.Slot(v)
	if mine == nil || mine.Size == 0 {
		return nil
	}
	for _, n := range p.Graph.Nodes {
		for _, o := range n.Outputs {
			if o == nil || o.Type.Space != v.Type.Space {
				continue
			}
			if s := m.Slot(o); s != nil && s != mine && s.Size > 0 && s.First > mine.First && s.First < mine.Last && s.Value == o {
				return s
			}
		}
	}
	return nil
}

// TestMemoryMutations breaks memory and order of every copied tensor; the verifier
// that runs before a session is opened must find each, and each does harm where
// it is let through.
func TestMemoryMutations(t *testing.T) {
	b := newBench(t, "tjs-fp16", "vision=sim:0,llm.layers.2-3=sim:1")
	control := b.controls(t)
	tried := map[string]int{}
	for i := range b.set.Contracts {
		c := &b.set.Contracts[i]
		if c.Edge != partition.CopyEdge {
			continue
		}
		p, v := b.value(c.To.Phase, c.To.Value)
		for _, mut := range memoryMutations {
			name := fmt.Sprintf("%s: %s", c.Name(), mut.kind)
			var err error
			harm, applies := false, true
			for _, schedule := range mut.schedules {
				o, openErr := b.open("none", schedule)
				if openErr != nil {
					t.Fatal(openErr)
				}
				m, cmds := o.arenas.Layout(p.Phase)
				if e := p.CheckMemory(m, cmds); e != nil {
					t.Errorf("%s: unmutated: %v", name, e)
				}
				if applies = mut.apply(p, m, cmds, v); applies {
					err = p.CheckMemory(m, cmds)
					b.fault.phase = p.Phase // the other phase need not run again
					got, e := b.run(o)
					harm = harm || e != nil || !bytes.Equal(got, control)
				}
				if e := o.close(); e != nil {
					t.Error(e)
				}
				if harm || !applies {
					break
				}
			}
			if !applies {
				continue
			}
			tried[mut.kind]++
			if !errors.Is(err, partition.ErrContract) || !strings.Contains(err.Error(), c.Value) || !strings.Contains(err.Error(), c.To.Space) {
				t.Errorf("%s: not found: %v", name, err)
			}
			if !harm {
				t.Errorf("%s: does no harm", name)
			}
		}
	}
	for _, mut := range memoryMutations {
		if tried[mut.kind] == 0 {
			t.Errorf("%s was never tried", mut.kind)
		}
	}
	t.Log(tried)
}
