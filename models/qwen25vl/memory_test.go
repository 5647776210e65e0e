package qwen25vl_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// opened is a session over the bundled model and what is below it.
type opened struct {
	*qwen25vl.Session
	model   *qwen25vl.Model
	program *mnnconv.Program
	sims    []*sim.Device
}

// open opens the bundled model for a context of labCapacity tokens.
func open(t testing.TB, place, schedule string, configs ...sim.Config) *opened {
	t.Helper()
	x := &opened{}
	table := op.All()
	s := &sim.Backend{Table: table, Opened: func(d *sim.Device) { x.sims = append(x.sims, d) }}
	copy(s.Config[:], configs)
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Place: place, Schedule: schedule,
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, s}, Session: models.SessionOptions{Capacity: labCapacity}}
	source, err := mnnconv.Load(tests.Export(t, "tjs-fp16"), o)
	if err != nil {
		t.Fatal(err)
	}
	x.model = source.Model.(*qwen25vl.Model)
	if x.program, err = mnnconv.Open(source, o); err != nil {
		t.Fatal(err)
	}
	x.Session = x.chat(t)
	t.Cleanup(func() { closed(t, x, x.program, source) })
	return x
}

// chat makes one more session.
func (x *opened) chat(t testing.TB) *qwen25vl.Session {
	t.Helper()
	s, err := x.program.Chat(0)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*qwen25vl.Session)
}

// greedy takes the likeliest of a few tokens.
var greedy = models.Settings{Most: 4, Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}}

// TestArenasAreTight wants the layouts of all placements to stay within a tenth of
// what is alive at once.
func TestArenasAreTight(t *testing.T) {
	for _, place := range places() {
		for _, n := range open(t, place, "").Memory() {
			if float64(n.Bytes) > 1.1*float64(n.Live) {
				t.Errorf("%s: %s in %s: %d bytes for %d alive", place, n.Phase, n.Space, n.Bytes, n.Live)
			}
		}
	}
}

// TestDecodeLoopAllocatesNothing decodes step by step: no device allocates, and the
// host makes a few small things for each command, however large the model is.
func TestDecodeLoopAllocatesNothing(t *testing.T) {
	for place, most := range map[string]float64{"": 20, "vision=sim:0,llm=sim:1": 35} {
		s := open(t, place, "")
		past := 0
		step := func() {
			if _, err := s.Decode(t.Context(), 7, past, int64(past)); err != nil {
				t.Fatal(err)
			}
			past++
		}
		step()
		before := make([]sim.Stats, len(s.sims))
		for i, d := range s.sims {
			before[i] = d.Stats()
		}
		if n := testing.AllocsPerRun(50, step); n > most {
			t.Errorf("%q: %v allocations a step, at most %v are expected", place, n, most)
		}
		for i, d := range s.sims {
			now := d.Stats()
			if now.Calls[sim.Alloc] != before[i].Calls[sim.Alloc] || now.Memory != before[i].Memory || now.Calls[sim.Record] != before[i].Calls[sim.Record] {
				t.Errorf("%q: sim:%d allocated or recorded in the decode loop: %+v, before %+v", place, i, now, before[i])
			}
		}
	}
}

// TestLargestInputs fills the context with the largest picture it has room for, to
// the last token; one row more is refused.
func TestLargestInputs(t *testing.T) {
	s := open(t, "vision=sim:0,llm=sim:1", "overlap")
	rng := rand.New(rand.NewPCG(3, 4))
	a, err := s.AskPrepared(t.Context(), random(rng, qwen25vl.Grid{T: 1, H: 2 * 13, W: 2 * 19})(s.model), greedy)
	if err != nil || len(a.Tokens) == 0 || a.PromptTokens != 13*19+6 || a.PromptTokens+len(a.Tokens) > labCapacity {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = s.AskPrepared(context.Background(), random(rng, qwen25vl.Grid{T: 1, H: 2, W: 2 * 257})(s.model), greedy)
	if !errors.Is(err, partition.ErrLimit) && !errors.Is(err, qwen25vl.ErrPrompt) {
		t.Errorf("a picture larger than the context: %v", err)
	}
	if _, err = s.AskPrepared(t.Context(), random(rng, qwen25vl.Grid{T: 1, H: 8, W: 8})(s.model), greedy); err != nil {
		t.Errorf("after a picture that was refused: %v", err)
	}
}
