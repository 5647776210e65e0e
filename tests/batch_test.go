package tests

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mnnconv"
	"mnnconv/models"
)

// slots opens n slots over a model folder or package.
func slots(t testing.TB, dir string, o mnnconv.Options, n int) []models.Session {
	t.Helper()
	o.Session.Slots, o.Load.Batched = n, true
	src, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if !src.Model.Batches() {
		t.Errorf("%s takes one sequence at a time", dir)
	}
	p, err := mnnconv.Open(src, o)
	if err != nil {
		t.Fatal(errors.Join(err, src.Close()))
	}
	all, err := p.Slots(0)
	if err != nil {
		t.Fatal(errors.Join(err, p.Close(), src.Close()))
	}
	t.Cleanup(func() {
		for _, s := range all {
			err = errors.Join(err, s.Close())
		}
		if err := errors.Join(err, p.Close(), src.Close()); err != nil {
			t.Error(err)
		}
	})
	return all
}

// mixed are questions of different lengths, with pictures and without, one of them of
// several chunks.
func mixed(t testing.TB) []models.Question {
	var out []models.Question
	for _, c := range Conversations(t) {
		out = append(out, c.Asking(t))
	}
	for i := range 5 {
		out = append(out, models.Asking(strings.Repeat(fmt.Sprintf("How many red rings are there in row %d? ", i), 1+14*i)))
	}
	return out
}

// TestBatch wants what is answered in slots at the same time to be what is answered
// alone: token for token, greedily and by chance, in one lane and in several, wherever the
// model runs, and where its graphs take one sequence at a time; also while others go away
// in the middle of their answers.
func TestBatch(t *testing.T) {
	long := greedy
	long.Most = 25
	sampled := long
	sampled.Sampling.Sample, sampled.Sampling.Temperature, sampled.Sampling.Seed = true, 1.2, 11
	ranked := sampled
	ranked.Sampling.TopK, ranked.Sampling.RepetitionPenalty = 10, 1.1
	for _, c := range []struct {
		export, place string
		slots, lanes  int
		values        bool
		lookup        int // with drafts each slot runs by itself
	}{
		{"tjs-fp16", "", 5, 1, false, 0},
		{"tjs-fp16", "", 7, 3, false, 0},
		{"tjs-fp16", "vision=sim:0,llm=sim:1", 3, 2, true, 0},
		{"tjs-q4f16", "", 18, 1, false, 0},
		{"tjs-q4f16", "", 2, 2, true, 0},
		{"olive-cpu-int4", "llm.layers.0-1=sim:0", 4, 1, false, 0},
		{"tjs-q4f16", "", 3, 2, false, 4},
	} {
		t.Run(fmt.Sprint(c.export, " ", c.place, " ", c.slots, " in ", c.lanes), func(t *testing.T) {
			o, _ := simulated(c.place)
			o.Session.Lanes = c.lanes
			if c.values {
				o.Check = "values"
			}
			o.Load.Lookup = c.lookup
			dir := Export(t, c.export)
			if c.slots == 5 {
				o.Load.Batched = true
				dir = written(t, dir, o) // a package, whose graphs take several sequences too
			}
			type task struct {
				q    models.Question
				set  models.Settings
				want []int32
			}
			var tasks []task
			alone := chat(t, dir, o)
			for i, q := range mixed(t) {
				set := []models.Settings{long, sampled, ranked}[i%3]
				a, err := alone.Ask(context.Background(), q, set)
				if err != nil {
					t.Fatal(err)
				}
				tasks = append(tasks, task{q, set, a.Tokens}, task{q, set, a.Tokens})
			}
			todo := make(chan task, len(tasks))
			for _, x := range tasks {
				todo <- x
			}
			close(todo)
			var wg sync.WaitGroup
			for _, s := range slots(t, dir, o, c.slots) {
				wg.Go(func() {
					for x := range todo {
						ctx, leave := context.WithCancel(context.Background())
						leaves := x.set
						leaves.OnText = func(string) error { leave(); return nil }
						if _, err := s.Ask(ctx, x.q, leaves); err != nil && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						leave()
						a, err := s.Ask(context.Background(), x.q, x.set)
						if err != nil {
							t.Error(err)
							return
						}
						if want := decodedOf(a); a.Stats.Decoded != want {
							t.Errorf("%d tokens of decode, want %d", a.Stats.Decoded, want)
						}
						if !slices.Equal(a.Tokens, x.want) {
							t.Errorf("tokens %v, alone %v", a.Tokens, x.want)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestShared asks what another slot was asked before: a prompt whose beginning a slot does
// not hold, and another does, starts there, while that one answers, too, and its pictures
// are not encoded again, in whichever lanes the two are. The answers are those that are
// given alone.
func TestShared(t *testing.T) {
	for _, lanes := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(lanes), func(t *testing.T) { testShared(t, lanes) })
	}
}

func testShared(t *testing.T, lanes int) {
	o, _ := simulated("")
	o.Session.Lanes = lanes
	dir := Export(t, "tjs-fp16")
	alone := chat(t, dir, o)
	once := greedy
	once.Most = 25
	set := once
	set.Reuse = true
	all := slots(t, dir, o, 4)
	for i, q := range mixed(t) {
		want, err := alone.Ask(context.Background(), q, once)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(s models.Session) (*models.Answer, error) {
			a, err := s.Ask(context.Background(), q, set)
			if err == nil && !slices.Equal(a.Tokens, want.Tokens) {
				t.Errorf("question %d: tokens %v, alone %v", i, a.Tokens, want.Tokens)
			}
			return a, err
		}
		first := all[i%4]
		if _, err := ask(first); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, s := range all {
			wg.Go(func() {
				a, err := ask(s)
				switch {
				case err != nil:
					t.Error(err)
				case a.Stats.ReusedTokens != a.PromptTokens-1 || a.Stats.Encode != 0:
					t.Errorf("question %d: of %d tokens %d were held, and pictures took %v", i, a.PromptTokens, a.Stats.ReusedTokens, a.Stats.Encode)
				}
			})
		}
		wg.Wait()
	}
}
