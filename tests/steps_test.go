package tests

import (
	"context"
	"testing"

	"mnnconv"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
)

// simulated returns options with the given simulated devices, and where those that
// are opened are put.
func simulated(place string, configs ...sim.Config) (mnnconv.Options, *[]*sim.Device) {
	opened := &[]*sim.Device{}
	o := options(place)
	b := &sim.Backend{Table: o.Load.Table, Opened: func(d *sim.Device) { *opened = append(*opened, d) }}
	copy(b.Config[:], configs)
	o.Backends = []runtime.Backend{&cpu.Backend{Table: o.Load.Table}, b}
	return o, opened
}

// TestDecodeStep wants a decode step to be one launch between transfers of what says
// where the token stands, of the token from where the step before chose it, and of the
// highest logits with their tokens. Nothing
// is allocated or recorded, and the host's heap is left alone but for what operators
// without a kernel take.
func TestDecodeStep(t *testing.T) {
	o, opened := simulated("vision=sim:0,llm=sim:1")
	s := chat(t, Export(t, "tjs-fp16"), o)
	c := Conversations(t)[1]
	books := func(most int) sim.Stats {
		set := greedy
		set.Most = most
		a, err := s.Ask(context.Background(), c.Asking(t), set)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Tokens) != most {
			t.Fatalf("%d tokens of %d: the answer is too short to count steps", len(a.Tokens), most)
		}
		return (*opened)[1].Stats()
	}
	first := books(3)
	short := books(3)
	long := books(5)
	diff := func(call sim.Call) int {
		return long.Calls[call] - short.Calls[call] - (short.Calls[call] - first.Calls[call])
	}
	for call, want := range map[sim.Call]int{sim.Transfer: 8, sim.Submit: 2, sim.Alloc: 0, sim.Record: 0, sim.Compile: 0} {
		if got := diff(call); got != want {
			t.Errorf("two more tokens took %d more calls of %s, want %d", got, call, want)
		}
	}
	got := long.Transferred - short.Transferred - (short.Transferred - first.Transferred)
	const best = 64 // float16 numbers and int64 tokens
	if want := int64(2 * (5*8 + 8 + best*(2+8))); got != want {
		t.Errorf("two more tokens moved %d bytes more, want %d", got, want)
	}
}
