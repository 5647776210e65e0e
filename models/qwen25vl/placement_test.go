package qwen25vl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/graph"
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

// places are all pairs of devices for the two stages, and finer cuts.
func places() []string {
	if raced {
		return []string{"vision=sim:0,llm=sim:1", "llm.layers.0-1=sim:0,llm=sim:1"}
	}
	var all []string
	devices := []string{"cpu", "sim:0", "sim:1"}
	for _, v := range devices {
		for _, l := range devices {
			all = append(all, "vision="+v+",llm="+l)
		}
	}
	return append(all,
		"llm.layers.0-1=sim:0,llm.layers.2-3=sim:1,llm=sim:0",
		"vision=sim:1,llm.layers.0-1=cpu,llm=sim:0",
		"head=sim:1,vision=sim:0,llm=sim:0",
		"head=sim:0",
		"embed=sim:1,llm=sim:0",
		`/blocks\.\d*[02468]\./=sim:0,/blocks\.\d*[13579]\./=sim:1,/layers\.[02]\./=sim:1,/layers\.[13]\./=sim:0`,
		`/blocks\.\d*[02468]\./=sim:0,/layers\.[02]\./=sim:1`,
	)
}

// lab runs phases of the bundled model with the inputs of one question.
type lab struct {
	table  op.Table
	graphs map[string]*graph.Graph // not placed
	inputs map[string][]*graph.Tensor
}

const labCapacity = 256

func newLab(t testing.TB, ask func(*qwen25vl.Model) qwen25vl.Prepared) *lab {
	t.Helper()
	l := &lab{table: op.All(), graphs: map[string]*graph.Graph{}, inputs: map[string][]*graph.Tensor{}}
	o := mnnconv.Options{Load: models.Options{Table: l.table}, Models: []models.Kind{qwen25vl.Kind}, Backends: []runtime.Backend{&cpu.Backend{Table: l.table}}}
	source, err := mnnconv.Load(tests.Export(t, "tjs-fp16"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, source) })
	for _, ph := range source.Phases {
		l.graphs[ph.Name], _ = ph.Graph.Clone()
	}
	program, err := mnnconv.Open(source, o)
	if err != nil {
		t.Fatal(err)
	}
	chat, err := program.Chat(labCapacity)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, chat, program)
	m := source.Model.(*qwen25vl.Model)
	q := ask(m)
	p, err := chat.(*qwen25vl.Session).Prepare(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Grids) > 0 {
		if l.inputs["encode"], err = m.EncodeInputs(q.Pixels[:q.Grids[0].Patches()*1176], q.Grids[0]); err != nil {
			t.Fatal(err)
		}
	}
	if l.inputs["extend"], err = m.ExtendInputs(p, 0); err != nil {
		t.Fatal(err)
	}
	return l
}

// reference asks a reference conversation.
func reference(t testing.TB, name string) func(*qwen25vl.Model) qwen25vl.Prepared {
	return func(*qwen25vl.Model) qwen25vl.Prepared {
		all := tests.Conversations(t)
		i := slices.IndexFunc(all, func(c tests.Conversation) bool { return c.Name == name })
		if i < 0 {
			t.Fatalf("no conversation %q", name)
		}
		return prepared(t, all[i])
	}
}

// random asks about a picture of noise, with texts of 3 tokens before and behind it.
func random(rng *rand.Rand, g qwen25vl.Grid) func(*qwen25vl.Model) qwen25vl.Prepared {
	return func(m *qwen25vl.Model) qwen25vl.Prepared {
		q := qwen25vl.Prepared{Grids: []qwen25vl.Grid{g}, Pixels: make([]float32, g.Patches()*1176)}
		for i := range q.Pixels {
			q.Pixels[i] = rng.Float32()*4 - 2
		}
		rows := int(g.Patches()) / int(m.Config.Merge*m.Config.Merge)
		for i := range rows + 6 {
			id := int32(5 + rng.IntN(200))
			if i >= 3 && i < rows+3 {
				id = m.Config.ImageToken
			}
			q.IDs = append(q.IDs, id)
			for a := range q.Positions {
				q.Positions[a] = append(q.Positions[a], int64(i))
			}
		}
		return q
	}
}

func closed(t testing.TB, cs ...interface{ Close() error }) {
	t.Helper()
	for _, c := range cs {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// bench is opened devices.
type bench struct {
	targets []partition.Target
	devices map[string]runtime.Device
	sims    []*sim.Device
}

func (l *lab) open(t testing.TB, configs ...sim.Config) *bench {
	t.Helper()
	b := &bench{devices: map[string]runtime.Device{}}
	s := &sim.Backend{Table: l.table, Opened: func(d *sim.Device) { b.sims = append(b.sims, d) }}
	copy(s.Config[:], configs)
	for i, backend := range []runtime.Backend{&cpu.Backend{Table: l.table}, s, s} {
		p, err := backend.Profile(max(0, i-1))
		if err != nil {
			t.Fatal(err)
		}
		b.targets = append(b.targets, partition.Target{Profile: p, Lowerer: backend})
		if b.devices[p.Name], err = backend.Open(p); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bench) Close() error {
	var errs []error
	for _, t := range b.targets {
		errs = append(errs, b.devices[t.Profile.Name].Close())
	}
	return errors.Join(errs...)
}

// plan places a phase, with values added to its outputs.
func (l *lab) plan(t testing.TB, b *bench, phase, place string, watch []string) *partition.Plan {
	t.Helper()
	rules, err := partition.ParseRules(place)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := l.graphs[phase].Clone()
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && slices.Contains(watch, v.Name) {
				g.Outputs = append(g.Outputs, v)
			}
		}
	}
	p, err := partition.Build(phase, g, rules, b.targets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// boundaries are the names of computed values that are copied.
func boundaries(p *partition.Plan) []string {
	var names []string
	for _, n := range p.Copies() {
		if v := n.Inputs[0]; v.Def != nil && !slices.Contains(p.Graph.Outputs, n.Outputs[0]) && !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}

// executor is a phase compiled, with states where it has some.
type executor struct {
	*runtime.Executor
	states runtime.States
}

func (l *lab) executor(b *bench, p *partition.Plan) (*executor, error) {
	e, err := runtime.NewExecutor(p, b.devices)
	if err != nil {
		return nil, err
	}
	states, err := e.NewStates(graph.Env{"capacity": labCapacity, "batch": 1})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &executor{e, states}, nil
}

func (e *executor) Close() error { return errors.Join(e.states.Close(), e.Executor.Close()) }

// run runs a phase once in a session of its own and returns copies of its outputs.
func (l *lab) run(e *executor, schedule string) ([][]byte, error) {
	sched, err := runtime.ParseSchedule(schedule)
	if err != nil {
		return nil, err
	}
	s := e.NewSession(e.states, nil, sched)
	outs, err := s.Run(context.Background(), l.inputs[e.Plan().Phase])
	var bits [][]byte
	for _, o := range outs {
		if o != nil {
			bits = append(bits, append([]byte(fmt.Sprint(o.DType, o.Shape)), o.Data...))
		}
	}
	return bits, errors.Join(err, s.Close())
}

// bits plans and runs a phase with values watched.
func (l *lab) bits(t testing.TB, b *bench, phase, place string, watch []string) [][]byte {
	t.Helper()
	e, err := l.executor(b, l.plan(t, b, phase, place, watch))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := l.run(e, "overlap")
	if err != nil {
		t.Fatalf("%s, %s: %v", phase, place, err)
	}
	closed(t, e)
	return bits
}

// TestPlacementsGiveTheSameBits compares every value that crosses between devices
// with what the cpu alone computes for it.
func TestPlacementsGiveTheSameBits(t *testing.T) {
	l := newLab(t, reference(t, "two_images"))
	b := l.open(t, sim.Config{Seed: 1}, sim.Config{Seed: 2})
	defer closed(t, b)
	crossed := 0
	for _, phase := range []string{"encode", "extend"} {
		alone := l.bits(t, b, phase, "", nil)
		for _, place := range places() {
			names := boundaries(l.plan(t, b, phase, place, nil))
			crossed += len(names)
			want := l.bits(t, b, phase, "", names)
			got := l.bits(t, b, phase, place, names)
			if len(got) != len(want) || len(got) < len(alone)+len(names) {
				t.Fatalf("%s, %s: %d outputs, want %d", phase, place, len(got), len(want))
			}
			for i := range got {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("%s, %s: output %d (%v) has other bits than on the cpu", phase, place, i, names)
				}
			}
			if !bytes.Equal(got[0], alone[0]) {
				t.Errorf("%s, %s: the result has other bits than uncut on the cpu", phase, place)
			}
		}
	}
	if crossed < 50 && !raced {
		t.Errorf("%d values crossed in all placements", crossed)
	}
}

// TestPlacementsAnswer wants the cpu's tokens, which are the reference's, on the
// seven conversations.
func TestPlacementsAnswer(t *testing.T) {
	dir := tests.Export(t, "tjs-fp16")
	table := op.All()
	var questions []qwen25vl.Prepared
	all := tests.Conversations(t)
	for _, c := range all {
		questions = append(questions, prepared(t, c))
	}
	for _, place := range places() {
		o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Place: place, Schedule: "overlap",
			Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table, Config: [sim.Devices]sim.Config{{Seed: 3}, {Seed: 4}}}}}
		source, err := mnnconv.Load(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		program, err := mnnconv.Open(source, o)
		if err != nil {
			t.Fatal(err)
		}
		chat, err := program.Chat(labCapacity)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range all {
			a, err := chat.(*qwen25vl.Session).AskPrepared(t.Context(), questions[i], models.Settings{Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}})
			if err != nil {
				t.Fatalf("%s: %s: %v", place, c.Name, err)
			}
			want := graph.View[int64](c.Arrays["tokens"])
			if !slices.EqualFunc(a.Tokens, want[:len(want)-1], func(x int32, y int64) bool { return int64(x) == y }) {
				t.Errorf("%s: %s: tokens %v, want %v", place, c.Name, a.Tokens, want)
			}
		}
		closed(t, chat, program, source)
	}
}
