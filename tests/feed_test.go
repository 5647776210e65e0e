package tests

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/runtime/sim"
)

// spoiling is a runner of the decoder that may spoil the highest logits.
type spoiling struct {
	models.Runner
	spoil func(logits []float32)
}

func (s spoiling) Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	outs, err := s.Runner.Run(ctx, inputs)
	return spoilt(outs, s.spoil), err
}

// feeding is one that also counts the steps that are started before the one in front of
// them is looked at.
type feeding struct {
	models.Feeder
	steps, fed *int
	spoil      func(logits []float32)
}

func (f feeding) Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	return spoiling{f.Feeder, f.spoil}.Run(ctx, inputs)
}

func (f feeding) Start(ctx context.Context, inputs []*graph.Tensor, fed bool) error {
	*f.steps++
	if fed {
		*f.fed++
	}
	return f.Feeder.Start(ctx, inputs, fed)
}

func (f feeding) Await() ([]*graph.Tensor, error) {
	outs, err := f.Feeder.Await()
	return spoilt(outs, f.spoil), err
}

// spoilt spoils the highest logits of every third token.
func spoilt(outs []*graph.Tensor, spoil func(logits []float32)) []*graph.Tensor {
	if len(outs) < 2 || spoil == nil || outs[len(outs)-1] == nil || graph.View[int64](outs[len(outs)-1])[0]%3 != 1 {
		return outs
	}
	outs = slices.Clone(outs)
	best := outs[len(outs)-2]
	logits, err := best.Float32s()
	if err != nil {
		panic(err)
	}
	logits = slices.Clone(logits)
	spoil(logits)
	outs[len(outs)-2] = graph.Floats(logits, best.Shape...)
	return outs
}

// feeds asks conversations on devices that feed the decoder themselves, and wants the tokens
// that there are where the host gives it each: to the end, of one and of two tokens at most,
// cut off by whoever listens, cancelled, and in a conversation that goes on from what the
// state holds behind each of these; and where the highest logits do not decide, or decide
// for another token than the one that the device took.
func feeds(t *testing.T, o mnnconv.Options, all []Conversation, ways ...string) {
	t.Helper()
	dir := Export(t, "tjs-fp16")
	f := feeding{steps: new(int), fed: new(int)}
	opens := func(fed bool) models.Session {
		o, spoil := o, f.spoil
		o.Session.Wrap = func(phase string, own models.Runner) models.Runner {
			switch {
			case phase != "extend":
				return own
			case !fed:
				return spoiling{own, spoil}
			}
			f.Feeder = own.(models.Feeder)
			return f
		}
		return chat(t, dir, o)
	}
	enough := func(tokens int) func(string) error {
		n := 0
		return func(string) error {
			if n++; n == tokens {
				return models.ErrEnough
			}
			return nil
		}
	}
	ask := func(s models.Session, q models.Question, way string) ([]int32, *models.Answer) {
		t.Helper()
		set, ctx := greedy, t.Context()
		set.Reuse, set.Most = true, 40
		if f.spoil != nil { // other words, which may have no end
			set.Most = 10
		}
		switch way {
		case "one":
			set.Most = 1
		case "two":
			set.Most = 2
		case "enough":
			set.OnText = enough(3)
		case "cancelled":
			canceled, cancel := context.WithCancel(ctx)
			defer cancel()
			ctx, set.OnText = canceled, func(string) error { cancel(); return nil }
		case "penalty":
			set.Sampling.RepetitionPenalty = 1.3
		}
		a, err := s.Ask(ctx, q, set)
		if way == "cancelled" && errors.Is(err, context.Canceled) {
			return nil, &models.Answer{}
		}
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		return a.Tokens, a
	}
	for name, spoil := range map[string]func(logits []float32){
		"as it is":      nil,
		"undecided":     func(logits []float32) { logits[0] = float32(math.NaN()) },
		"another token": func(logits []float32) { logits[0], logits[1] = logits[1], logits[0] },
	} {
		f.spoil = spoil
		told, s := opens(false), opens(true)
		for _, c := range all {
			var turns []models.Turn
			for _, way := range ways {
				q := models.Question{Turns: append(slices.Clone(turns), c.Asking(t).Turns...)}
				want, a := ask(told, q, way)
				started, fed := *f.steps, *f.fed
				got, b := ask(s, q, way)
				if !slices.Equal(got, want) || a.Text != b.Text || a.Cut != b.Cut {
					t.Errorf("%s, %s, %s: tokens %v, told each %v", name, c.Name, way, got, want)
				}
				started, fed = *f.steps-started, *f.fed-fed
				switch {
				case (way == "one" || way == "penalty") && started != 0, way == "two" && (started != 1 || fed != 0):
					t.Errorf("%s, %s, %s: %d steps, %d of them fed", name, c.Name, way, started, fed)
				case way == "whole" && spoil == nil && (fed != started-1 || b.Cut && started != len(got)-1 || !b.Cut && started != len(got)+1):
					t.Errorf("%s, %s: %d steps, %d of them fed, for %d tokens, cut off: %v", name, c.Name, started, fed, len(got), b.Cut)
				}
				turns = append(q.Turns, said(a.Text))
			}
		}
	}
}

// TestFeed has simulated devices, which are late, feed the decoder.
func TestFeed(t *testing.T) {
	for _, place := range []string{"sim:1", "vision=sim:0,llm=sim:1"} {
		o, _ := simulated(place, sim.Config{Seed: 3}, sim.Config{Seed: 4})
		feeds(t, o, Conversations(t)[:2], "one", "two", "enough", "cancelled", "penalty", "whole")
	}
}

// TestNotFed has a decoder that is cut across devices told each token.
func TestNotFed(t *testing.T) {
	o, _ := simulated("llm.layers.0-1=sim:0,llm=sim:1")
	var f models.Feeder
	o.Session.Wrap = func(phase string, own models.Runner) models.Runner {
		if phase == "extend" {
			f = own.(models.Feeder)
		}
		return own
	}
	s := chat(t, Export(t, "tjs-fp16"), o)
	c := Conversations(t)[0]
	a, err := s.Ask(t.Context(), c.Asking(t), greedy)
	if err != nil || a.Text != c.Text {
		t.Errorf("%v, %v, want %q", a, err, c.Text)
	}
	if err := f.Start(t.Context(), nil, false); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("it was fed: %v", err)
	}
}
