package generate

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

func newSampler(t testing.TB, opt Options, vocab int) *Sampler {
	t.Helper()
	s, err := NewSampler(opt, vocab)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGreedy(t *testing.T) {
	mask := float32(-inf)
	for _, c := range []struct {
		name    string
		logits  []float32
		history []int32
		penalty float64
		want    int32
	}{
		{"highest", []float32{1, 3, 2}, nil, 1, 1},
		{"first of equals", []float32{1, 3, 3}, nil, 1, 1},
		{"masked", []float32{mask, -5, mask}, nil, 1, 1},
		{"lowest finite", []float32{mask, -math.MaxFloat32}, nil, 1, 1},
		{"one token", []float32{0}, nil, 1, 0},
		{"no penalty", []float32{1, 3, 2}, []int32{1}, 1, 1},
		{"penalty divides what is positive", []float32{1, 3, 2}, []int32{1}, 2, 2},           // 3/2 < 2
		{"penalty too small", []float32{1, 3, 2}, []int32{1}, 1.4, 1},                        // 3/1.4 > 2
		{"penalty counts once", []float32{1, 3, 2}, []int32{1, 1, 1}, 1.4, 1},                // not 3/1.4³
		{"penalty multiplies what is negative", []float32{-3, -2, -2.5}, []int32{1}, 1.5, 2}, // -3 < -2.5
		{"reward", []float32{1, 3, 2}, []int32{2}, 0.5, 2},                                   // 2/0.5 > 3
		{"penalty leaves the masked", []float32{mask, -1}, []int32{0, 1}, 2, 1},              // -Inf·2
		{"penalty to a tie", []float32{2, 4}, []int32{1}, 2, 0},                              // 4/2 = 2, the first
	} {
		s := newSampler(t, sampling(func(o *Options) { o.RepetitionPenalty = c.penalty }), len(c.logits))
		before := append([]float32(nil), c.logits...)
		got, err := s.Next(c.logits, c.history)
		if err != nil || got != c.want {
			t.Errorf("%s: got %d, error %v; want %d", c.name, got, err, c.want)
		}
		if !reflect.DeepEqual(c.logits, before) {
			t.Errorf("%s: logits changed to %v", c.name, c.logits)
		}
	}
}

// TestKept looks at the tokens that are left in the draw. The logits are the logarithms of 8, 4, 2, 1 and 1 sixteenths,
// out of order: tokens 3, 0, 4, 1, 2.
func TestKept(t *testing.T) {
	ln := func(x float64) float32 { return float32(math.Log(x)) }
	logits := []float32{ln(4), ln(1), ln(1), ln(8), ln(2), float32(-inf)}
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   map[int32]float64 // weights, the likeliest's being 1
	}{
		{"all", func(o *Options) {}, map[int32]float64{3: 1, 0: 1. / 2, 4: 1. / 4, 1: 1. / 8, 2: 1. / 8}},
		{"temperature ½ squares", func(o *Options) { o.Temperature = 0.5 }, map[int32]float64{3: 1, 0: 1. / 4, 4: 1. / 16, 1: 1. / 64, 2: 1. / 64}},
		{"temperature 2 takes roots", func(o *Options) { o.Temperature = 2; o.TopK = 3 }, map[int32]float64{3: 1, 0: math.Sqrt(1. / 2), 4: 1. / 2}},
		{"lowest temperature", func(o *Options) { o.Temperature = 5e-324 }, map[int32]float64{3: 1, 0: 0, 1: 0, 2: 0, 4: 0}},
		{"top-k 1", func(o *Options) { o.TopK = 1 }, map[int32]float64{3: 1}},
		{"top-k 2", func(o *Options) { o.TopK = 2 }, map[int32]float64{3: 1, 0: 1. / 2}},
		{"top-k 4 keeps the tie", func(o *Options) { o.TopK = 4 }, map[int32]float64{3: 1, 0: 1. / 2, 4: 1. / 4, 1: 1. / 8, 2: 1. / 8}},
		{"top-k over the masked", func(o *Options) { o.TopK = 1000 }, map[int32]float64{3: 1, 0: 1. / 2, 4: 1. / 4, 1: 1. / 8, 2: 1. / 8}},
		{"top-p under the first", func(o *Options) { o.TopP = 1e-9 }, map[int32]float64{3: 1}},
		{"top-p 0.49", func(o *Options) { o.TopP = 0.49 }, map[int32]float64{3: 1}},                                                // 8/16 reaches it
		{"top-p 0.51", func(o *Options) { o.TopP = 0.51 }, map[int32]float64{3: 1, 0: 1. / 2}},                                     // 12/16
		{"top-p 0.76", func(o *Options) { o.TopP = 0.76 }, map[int32]float64{3: 1, 0: 1. / 2, 4: 1. / 4}},                          // 14/16
		{"top-p 0.9, lower id first", func(o *Options) { o.TopP = 0.9 }, map[int32]float64{3: 1, 0: 1. / 2, 4: 1. / 4, 1: 1. / 8}}, // 15/16
		{"top-p of what top-k leaves", func(o *Options) { o.TopK = 2; o.TopP = 0.6 }, map[int32]float64{3: 1}},                     // 8/12
		{"min-p 0.2", func(o *Options) { o.MinP = 0.2 }, map[int32]float64{3: 1, 0: 1. / 2, 4: 1. / 4}},
		{"min-p 1", func(o *Options) { o.MinP = 1 }, map[int32]float64{3: 1}},
		{"min-p after top-p", func(o *Options) { o.MinP = 0.3; o.TopP = 0.8 }, map[int32]float64{3: 1, 0: 1. / 2}},
		{"min-p after temperature", func(o *Options) { o.MinP = 0.2; o.Temperature = 0.5 }, map[int32]float64{3: 1, 0: 1. / 4}},
	} {
		s := newSampler(t, sampling(func(o *Options) { o.Sample, o.TopK = true, 0; c.change(o) }), len(logits))
		id, err := s.Next(logits, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, ok := c.want[id]; !ok {
			t.Errorf("%s: drew %d", c.name, id)
		}
		got := map[int32]float64{}
		for _, k := range s.kept {
			got[k.id] = k.weight
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: kept %v, want %v", c.name, got, c.want)
		}
		for id, want := range c.want {
			if w, ok := got[id]; !ok || math.Abs(w-want) > 1e-6 {
				t.Errorf("%s: kept %v, want %v", c.name, got, c.want)
			}
		}
	}
}

// TestTopKOfMany compares the heap with a count of the scores that are higher.
func TestTopKOfMany(t *testing.T) {
	logits := randomLogits(1000)
	for i := range logits {
		logits[i] = float32(int(logits[i] * 4)) // with many ties
	}
	for _, k := range []int{1, 2, 7, 50, 999} {
		s := newSampler(t, sampling(func(o *Options) { o.Sample, o.TopK = true, k }), len(logits))
		if _, err := s.Next(logits, nil); err != nil {
			t.Fatal(err)
		}
		kept := map[int32]bool{}
		for _, c := range s.kept {
			kept[c.id] = true
		}
		for i, v := range logits {
			higher := 0
			for _, w := range logits {
				if w > v {
					higher++
				}
			}
			if kept[int32(i)] != (higher < k) {
				t.Fatalf("top-k %d: token %d, %d higher: kept %v", k, i, higher, kept[int32(i)])
			}
		}
	}
}

func TestZeroTemperature(t *testing.T) {
	s := newSampler(t, sampling(func(o *Options) { o.Sample, o.Temperature = true, 0 }), 3)
	for range 100 {
		if got, err := s.Next([]float32{1, 1.001, 1}, nil); got != 1 || err != nil {
			t.Fatalf("got %d, error %v", got, err)
		}
	}
}

// TestDistribution draws 100,000 tokens and compares their shares with the probabilities by Pearson's χ². The bound for 4
// degrees of freedom is passed by chance once in 10,000 seeds; this seed is fixed.
func TestDistribution(t *testing.T) {
	const draws, bound = 100000, 23.51
	p := []float64{0.4, 0.3, 0.15, 0.1, 0.05}
	logits := make([]float32, len(p))
	for i := range p {
		logits[i] = float32(math.Log(p[i]) + 3)
	}
	s := newSampler(t, sampling(func(o *Options) { o.Sample, o.Seed = true, 1 }), len(p))
	count := make([]float64, len(p))
	for range draws {
		id, err := s.Next(logits, nil)
		if err != nil {
			t.Fatal(err)
		}
		count[id]++
	}
	chi := 0.0
	for i, n := range count {
		chi += (n - draws*p[i]) * (n - draws*p[i]) / (draws * p[i])
	}
	if chi > bound {
		t.Errorf("χ² = %.1f, want at most %v; counts %v", chi, bound, count)
	}
}

func TestSeed(t *testing.T) {
	logits := randomLogits(1000)
	draw := func(seed uint64) (ids [50]int32) {
		s := newSampler(t, sampling(func(o *Options) { o.Sample, o.TopK, o.TopP, o.Seed = true, 0, 0.9, seed }), len(logits))
		for i := range ids {
			ids[i], _ = s.Next(logits, ids[:i])
		}
		return ids
	}
	first := draw(1)
	if again := draw(1); again != first {
		t.Error("one seed, two sequences")
	}
	if other := draw(2); other == first {
		t.Error("two seeds, one sequence")
	}
}

func TestOptionErrors(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Options)
	}{
		{"temperature NaN", func(o *Options) { o.Temperature = nan }},
		{"temperature +Inf", func(o *Options) { o.Temperature = inf }},
		{"temperature -0.1", func(o *Options) { o.Temperature = -0.1 }},
		{"top-k -1", func(o *Options) { o.TopK = -1 }},
		{"top-p 0", func(o *Options) { o.TopP = 0 }},
		{"top-p -1", func(o *Options) { o.TopP = -1 }},
		{"top-p 1.01", func(o *Options) { o.TopP = 1.01 }},
		{"top-p NaN", func(o *Options) { o.TopP = nan }},
		{"min-p -0.5", func(o *Options) { o.MinP = -0.5 }},
		{"min-p 2", func(o *Options) { o.MinP = 2 }},
		{"min-p NaN", func(o *Options) { o.MinP = nan }},
		{"repetition-penalty 0", func(o *Options) { o.RepetitionPenalty = 0 }},
		{"repetition-penalty -1", func(o *Options) { o.RepetitionPenalty = -1 }},
		{"repetition-penalty +Inf", func(o *Options) { o.RepetitionPenalty = inf }},
		{"repetition-penalty NaN", func(o *Options) { o.RepetitionPenalty = nan }},
	} {
		s, err := NewSampler(sampling(c.change), 10)
		if s != nil || !errors.Is(err, ErrOption) || !strings.HasPrefix(err.Error(), c.want+": ") || !strings.Contains(err.Error(), "want") {
			t.Errorf("%s: error %v", c.want, err)
		}
	}
	for _, vocab := range []int{-1, 0, math.MaxInt32 + 1} {
		if _, err := NewSampler(Defaults(), vocab); !errors.Is(err, ErrOption) {
			t.Errorf("vocabulary of %d: error %v", vocab, err)
		}
	}
}

func TestLogitErrors(t *testing.T) {
	mask := float32(-inf)
	for _, c := range []struct {
		want    string
		logits  []float32
		history []int32
	}{
		{"logit of token 1 is NaN", []float32{1, float32(nan), 2}, nil},
		{"logit of token 0 is NaN", []float32{float32(nan), 1, 2}, nil},
		{"logit of token 2 is +Inf", []float32{1, 2, float32(inf)}, nil},
		{"all 3 tokens are masked", []float32{mask, mask, mask}, nil},
		{"2 logits, want 3", []float32{1, 2}, nil},
		{"0 logits, want 3", nil, nil},
		{"history[1]: token 3 of a vocabulary of 3", []float32{1, 2, 3}, []int32{0, 3}},
		{"history[0]: token -1 of a vocabulary of 3", []float32{1, 2, 3}, []int32{-1}},
	} {
		for _, sample := range []bool{false, true} {
			s := newSampler(t, sampling(func(o *Options) { o.Sample, o.RepetitionPenalty = sample, 1.1 }), 3)
			if _, err := s.Next(c.logits, c.history); !errors.Is(err, ErrLogits) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("sample %v: error %v, want %q", sample, err, c.want)
			}
		}
	}
}

// kinds are the ways of choosing whose cost differs.
var kinds = map[string]Options{
	"greedy":      {RepetitionPenalty: 1.05, TopP: 1},
	"temperature": {Sample: true, Temperature: 0.7, TopP: 1, RepetitionPenalty: 1},
	"top-k":       {Sample: true, Temperature: 0.7, TopK: 50, TopP: 0.9, RepetitionPenalty: 1.05},
	"top-p":       {Sample: true, Temperature: 0.7, TopP: 0.9, RepetitionPenalty: 1},
	"min-p":       {Sample: true, Temperature: 0.7, TopP: 1, MinP: 0.05, RepetitionPenalty: 1},
}

func TestNoAllocation(t *testing.T) {
	logits := randomLogits(5000)
	for name, opt := range kinds {
		s := newSampler(t, opt, len(logits))
		n := testing.AllocsPerRun(20, func() {
			if _, err := s.Next(logits, []int32{1, 2, 3}); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
}

// BenchmarkNext chooses from Qwen2.5's vocabulary.
func BenchmarkNext(b *testing.B) {
	logits := randomLogits(151936)
	history := make([]int32, 1000)
	for name, opt := range kinds {
		b.Run(name, func(b *testing.B) {
			s := newSampler(b, opt, len(logits))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Next(logits, history); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// randomLogits are normal with a deviation of 3, about as a language model's.
func randomLogits(n int) []float32 {
	r := rand.New(rand.NewPCG(7, 7))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(3 * r.NormFloat64())
	}
	return out
}
