package generate

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// bestOf returns the n highest logits and their ids as ONNX TopK does.
func bestOf(logits []float32, n int) (best []float32, ids []int64) {
	order := make([]int64, len(logits))
	for i := range order {
		order[i] = int64(i)
	}
	slices.SortStableFunc(order, func(a, b int64) int {
		x, y := logits[a], logits[b]
		if x != x || y != y { // NaN counts as the largest
			switch {
			case x == x:
				return 1
			case y == y:
				return -1
			}
			return 0
		}
		return cmp.Compare(y, x)
	})
	for _, i := range order[:min(n, len(order))] {
		best, ids = append(best, logits[i]), append(ids, i)
	}
	return best, ids
}

// TestNextOf wants the token that Next returns wherever NextOf returns one, over
// logits with ties and masks, and the random numbers left as Next leaves them.
func TestNextOf(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	with := sampling
	type setting struct {
		opt  Options
		most float64 // share of the rows that may be left to Next
	}
	settings := map[string]setting{}
	for _, penalty := range []float64{1, 1.05, 1.7} {
		for name, s := range map[string]setting{
			"greedy":            {with(func(o *Options) { o.TopK = 0 }), 0.1},
			"temperature 0":     {with(func(o *Options) { o.Sample, o.Temperature = true, 0 }), 0.1},
			"coldest":           {with(func(o *Options) { o.Sample, o.Temperature, o.TopK = true, 1e-6, 20 }), 0.6},
			"top-k":             {with(func(o *Options) { o.Sample, o.Temperature, o.TopK = true, 0.7, 8 }), 0.4},
			"top-k of all":      {with(func(o *Options) { o.Sample, o.TopK = true, 32 }), 1},
			"top-k, top-p":      {with(func(o *Options) { o.Sample, o.TopK, o.TopP = true, 8, 0.8 }), 0.4},
			"top-k, min-p":      {with(func(o *Options) { o.Sample, o.TopK, o.MinP = true, 8, 0.2 }), 0.4},
			"top-p":             {with(func(o *Options) { o.Sample, o.Temperature, o.TopK, o.TopP = true, 0.5, 0, 0.5 }), 0.9},
			"top-p at once":     {with(func(o *Options) { o.Sample, o.Temperature, o.TopK, o.TopP = true, 0.05, 0, 0.9 }), 0.4},
			"min-p":             {with(func(o *Options) { o.Sample, o.Temperature, o.TopK, o.MinP = true, 0.4, 0, 0.2 }), 0.5},
			"top-p, then min-p": {with(func(o *Options) { o.Sample, o.Temperature, o.TopK, o.TopP, o.MinP = true, 0.05, 0, 0.9, 0.3 }), 0.4},
		} {
			s.opt.RepetitionPenalty = penalty
			settings[fmt.Sprintf("%s, penalty %v", name, penalty)] = s
		}
	}
	const vocabulary, rows = 700, 400
	for name, c := range settings {
		a, b := newSampler(t, c.opt, vocabulary), newSampler(t, c.opt, vocabulary)
		logits := make([]float32, vocabulary)
		var history []int32
		left := 0
		for row := range rows {
			for i := range logits {
				logits[i] = float32(3 * r.NormFloat64())
				switch {
				case row%3 == 1:
					logits[i] = float32(math.Round(float64(logits[i])*8) / 8) // with ties
				case row%7 == 2 && r.IntN(4) == 0:
					logits[i] = float32(-inf)
				case row%11 == 3:
					logits[i] = -float32(math.Abs(float64(logits[i])))
				}
			}
			best, ids := bestOf(logits, 32)
			want, err := a.Next(logits, history)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := b.NextOf(best, ids, history)
			if !ok {
				left++
				if got, err = b.Next(logits, history); err != nil {
					t.Fatal(err)
				}
			}
			if got != want {
				t.Fatalf("%s, row %d: token %d, want %d (by the highest alone: %v)", name, row, got, want, ok)
			}
			if history = append(history, want); len(history) > 50 {
				history = history[1:]
			}
		}
		if float64(left) > c.most*rows {
			t.Errorf("%s: %d of %d rows were left to Next", name, left, rows)
		}
	}
}

// TestNextOfAll decides over a vocabulary that is there as a whole.
func TestNextOfAll(t *testing.T) {
	logits := []float32{1, 3, 3, -2, 0}
	best, ids := bestOf(logits, 64)
	for name, opt := range map[string]Options{
		"greedy": sampling(func(o *Options) { o.RepetitionPenalty = 50 }),
		"top-k":  sampling(func(o *Options) { o.Sample, o.TopK = true, 3 }),
		"top-p":  sampling(func(o *Options) { o.Sample, o.TopK, o.TopP = true, 0, 0.9 }),
		"min-p":  sampling(func(o *Options) { o.Sample, o.TopK, o.MinP = true, 0, 0.01 }),
	} {
		a, b := newSampler(t, opt, 5), newSampler(t, opt, 5)
		for range 50 {
			want, err := a.Next(logits, []int32{1, 2})
			if got, ok := b.NextOf(best, ids, []int32{1, 2}); err != nil || !ok || got != want {
				t.Fatalf("%s: token %d (%v), want %d, error %v", name, got, ok, want, err)
			}
		}
	}
}

// TestNextOfLeaves wants what would be an error, or cannot be known, left to Next.
func TestNextOfLeaves(t *testing.T) {
	with := sampling
	low := float32(-inf)
	for _, c := range []struct {
		name    string
		opt     Options
		logits  []float32
		ids     []int64
		history []int32
	}{
		{"no logits", with(func(*Options) {}), nil, nil, nil},
		{"an id short", with(func(*Options) {}), []float32{2, 1}, []int64{0}, nil},
		{"NaN", with(func(*Options) {}), []float32{float32(nan), 1}, []int64{0, 1}, nil},
		{"+Inf", with(func(*Options) {}), []float32{float32(inf), 1}, []int64{0, 1}, nil},
		{"all masked", with(func(*Options) {}), []float32{low, low}, []int64{0, 1}, nil},
		{"a tie with the last", with(func(*Options) {}), []float32{1, 1}, []int64{0, 1}, nil},
		{"penalty below the last", with(func(o *Options) { o.RepetitionPenalty = 3 }), []float32{2, 1}, []int64{0, 1}, []int32{0}},
		{"reward", with(func(o *Options) { o.RepetitionPenalty = 0.9 }), []float32{2, 1}, []int64{0, 1}, nil},
		{"a draw from all", with(func(o *Options) { o.Sample, o.TopK = true, 0 }), []float32{2, 1}, []int64{0, 1}, nil},
		{"more than there are", with(func(o *Options) { o.Sample, o.TopK = true, 3 }), []float32{2, 1}, []int64{0, 1}, nil},
		{"an id that is none", with(func(*Options) {}), []float32{2, 1}, []int64{9, 1}, nil},
		{"history that is none", with(func(o *Options) { o.RepetitionPenalty = 3 }), []float32{2, 1}, []int64{0, 1}, []int32{9}},
	} {
		if id, ok := newSampler(t, c.opt, 9).NextOf(c.logits, c.ids, c.history); ok {
			t.Errorf("%s: token %d", c.name, id)
		}
	}
}

func TestNextOfNoAllocation(t *testing.T) {
	logits := randomLogits(5000)
	best, ids := bestOf(logits, 64)
	for name, opt := range kinds {
		s := newSampler(t, opt, len(logits))
		if n := testing.AllocsPerRun(20, func() { s.NextOf(best, ids, []int32{1, 2, 3}) }); n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
}

// BenchmarkNextOf chooses from the highest 64 of Qwen2.5's vocabulary.
func BenchmarkNextOf(b *testing.B) {
	logits := randomLogits(151936)
	best, ids := bestOf(logits, 64)
	history := make([]int32, 1000)
	for name, opt := range kinds {
		b.Run(name, func(b *testing.B) {
			s := newSampler(b, opt, len(logits))
			b.ReportAllocs()
			for b.Loop() {
				s.NextOf(best, ids, history)
			}
		})
	}
}
