// Package regress holds faults that others had, each with the fixture that showed
// it.
package regress

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

func options(place string, devices []partition.Profile) mnnconv.Options {
	table := op.All()
	return mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}},
		Place:    place, Devices: devices}
}

func load(t *testing.T, dir string, o mnnconv.Options) *mnnconv.Source {
	t.Helper()
	s, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// cutOf describes where plans are cut.
func cutOf(plans []*partition.Plan) string {
	var b strings.Builder
	for _, p := range plans {
		for _, part := range p.Partitions() {
			fmt.Fprintf(&b, "%s %d on %s: %d nodes\n", p.Phase, part.Index, part.Target, len(part.Nodes))
		}
		for _, n := range p.Copies() {
			fmt.Fprintf(&b, "%s: %s from %s to %s\n", p.Phase, n.Inputs[0].Name, n.Str("from", ""), n.Str("to", ""))
		}
	}
	return b.String()
}

// TestMNN3372 plans what MNN crashed on for an H100 that is not here, checks every
// contract and all memory, and runs the same cut on simulated devices with the same
// operators: the image rows cross as a copy that one can see, and the answers are
// the cpu's.
func TestMNN3372(t *testing.T) {
	h100, ok := partition.Shipped("h100")
	if !ok {
		t.Fatal("no profiles of an H100")
	}
	stand := strings.NewReplacer("cuda:0", "sim:0", "opencl:0", "sim:1")
	var simulated []partition.Profile
	for _, p := range h100 {
		p.Name = stand.Replace(p.Name)
		simulated = append(simulated, p)
	}
	dir := tests.Export(t, "tjs-fp16")
	for _, c := range []struct{ file, place, crossing string }{
		{"vision-cuda.yaml", "vision=sim:0,llm=sim:1", "encode: image_rows from cuda:0 to cpu\n"},
		{"vision-cpu.yaml", "vision=cpu,llm=sim:1", "extend: image_rows from cpu to opencl:0\n"},
	} {
		t.Run(c.file, func(t *testing.T) {
			o := options("@"+filepath.Join("mnn3372", c.file), h100)
			s := load(t, dir, o)
			plans, err := mnnconv.Plan(s, o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := mnnconv.Contracts(s, plans, 0); err != nil {
				t.Errorf("contracts: %v", err)
			}
			budget, _, err := mnnconv.Fit(s, plans, o)
			if err == nil {
				err = budget.Check()
			}
			if err != nil {
				t.Errorf("memory: %v", err)
			}
			cut := cutOf(plans)
			if !strings.Contains(cut, c.crossing) {
				t.Errorf("%s\nlacks %s", cut, c.crossing)
			}
			if _, err := mnnconv.Open(load(t, dir, o), o); !errors.Is(err, runtime.ErrUnavailable) || !strings.Contains(err.Error(), ":0 was planned for and is not here") {
				t.Errorf("opened without its devices: %v", err)
			}

			o = options(c.place, simulated)
			for _, w := range s.Widened { // a simulated device would choose a processor's type
				if o.Load.Types, err = passes.ParseTypes(w.Stage + "=" + passes.TypeName(w.To)); err != nil {
					t.Fatal(err)
				}
			}
			answers := ask(t, load(t, dir, o), o, func(p *mnnconv.Program) {
				if got, want := cutOf(p.Plans), stand.Replace(cut); got != want {
					t.Errorf("the simulated cut is\n%s\nwant\n%s", got, want)
				}
			})
			for i, want := range tests.Conversations(t) {
				if answers[i] != want.Text {
					t.Errorf("%s: %q, want %q", want.Name, answers[i], want.Text)
				}
			}
		})
	}
}

// ask answers the reference questions.
func ask(t *testing.T, s *mnnconv.Source, o mnnconv.Options, opened func(*mnnconv.Program)) []string {
	t.Helper()
	p, err := mnnconv.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	opened(p)
	chat, err := p.Chat(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(chat.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	var out []string
	for _, c := range tests.Conversations(t) {
		a, err := chat.Ask(context.Background(), c.Asking(t), models.Settings{Sampling: generate.Options{Temperature: 1, TopP: 1, RepetitionPenalty: 1}})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		out = append(out, a.Text)
	}
	return out
}
