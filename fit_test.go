package mnnconv_test

import (
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// TestLanes wants slots divided only where their steps would run on processors of their
// own, and the budget to count each lane's memory.
func TestLanes(t *testing.T) {
	for _, c := range []struct {
		name               string
		place              string
		slots, asked, want int
		alone              bool // graphs of one sequence
	}{
		{"two lanes", "", 8, 2, 2, false},
		{"no more than slots", "", 3, 16, 3, false},
		{"nobody asks", "", 8, 0, 1, false},
		{"one slot", "", 1, 2, 1, false},
		{"a device", "llm.layers.0=sim:0", 8, 2, 1, false},
		{"slots that are sessions", "", 8, 2, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := op.All()
			o := mnnconv.Options{Load: models.Options{Table: table, Batched: !c.alone}, Models: []models.Kind{qwen25vl.Kind}, Place: c.place,
				Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}}, Session: models.SessionOptions{Capacity: 512, Images: 1, Frames: 1, Slots: c.slots, Lanes: c.asked}}
			s, err := mnnconv.Load("models/tinyvl", o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			var budget *partition.Budget
			var session models.SessionOptions
			o.Planned = func(_ []*partition.Plan, b *partition.Budget, s models.SessionOptions) { budget, session = b, s }
			p, err := mnnconv.Open(s, o)
			if err != nil {
				t.Fatal(err)
			}
			if session.Lanes != c.want {
				t.Errorf("%d lanes, want %d", session.Lanes, c.want)
			}
			sessions, err := p.Slots(0)
			if err != nil {
				t.Fatal(err)
			}
			if c.want > 1 { // of one lane each phase's arena; the state counts all slots
				for _, need := range sessions[0].Memory() {
					for _, phase := range budget.Spaces[0].Phases {
						if have := phase.Scratch + phase.Crossing; phase.Phase == need.Phase && have != int64(c.want)*need.Bytes {
							t.Errorf("phase %s: the budget has %d bytes for scratch and crossing, a lane takes %d", phase.Phase, have, need.Bytes)
						}
					}
				}
			}
			for _, session := range sessions {
				if err := session.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
