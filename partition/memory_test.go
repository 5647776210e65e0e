package partition

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestPlaceNeverOverlaps lays random lifetimes out and checks the verifier's rule
// and how close the arena comes to the largest sum of live bytes.
func TestPlaceNeverOverlaps(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const ticks = 40
		var slots []*Slot
		for i := range 60 {
			first := rng.IntN(ticks)
			g := graph.New("x")
			slots = append(slots, &Slot{Value: g.NewValue(string(rune('a'+i)), graph.Type{}), Size: int64(rng.IntN(50)) * 64,
				First: first, Last: min(ticks, first+rng.IntN(6))})
		}
		a := &Arena{Space: "cpu"}
		a.place(slots, 64, ticks)
		m := &Memory{Arenas: []*Arena{a}}
		if err := m.Verify(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if a.Size < a.Live || float64(a.Size) > 1.3*float64(a.Live) {
			t.Errorf("seed %d: an arena of %d for %d live bytes", seed, a.Size, a.Live)
		}
	}
}

// TestMemoryVerify plants overlaps and slots out of bounds.
func TestMemoryVerify(t *testing.T) {
	g := graph.New("x")
	x, y := g.NewValue("x", graph.Type{}), g.NewValue("y", graph.Type{})
	for _, c := range []struct {
		name string
		a    Arena
		bad  bool
	}{
		{"apart in space", Arena{Space: "sim:0", Size: 20, Slots: []Slot{{Value: x, Size: 10, Last: 5}, {Value: y, Offset: 10, Size: 10, Last: 5}}}, false},
		{"apart in time", Arena{Space: "sim:0", Size: 10, Slots: []Slot{{Value: x, Size: 10, Last: 5}, {Value: y, Size: 10, First: 6, Last: 9}}}, false},
		{"empty", Arena{Space: "sim:0", Size: 10, Slots: []Slot{{Value: x, Size: 10, Last: 5}, {Value: y, Offset: 5, Last: 5}}}, false},
		{"overlap", Arena{Space: "sim:0", Size: 20, Slots: []Slot{{Value: x, Size: 10, Last: 5}, {Value: y, Offset: 9, Size: 10, First: 5, Last: 6}}}, true},
		{"beyond the end", Arena{Space: "sim:0", Size: 9, Slots: []Slot{{Value: x, Size: 10}}}, true},
		{"before the start", Arena{Space: "sim:0", Size: 9, Slots: []Slot{{Value: x, Offset: -1, Size: 4}}}, true},
	} {
		err := (&Memory{Arenas: []*Arena{&c.a}}).Verify()
		if (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && (!errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), `"x"`)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
