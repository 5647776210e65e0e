package generate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

var (
	ErrOption = errors.New("sampling option out of range")
	ErrLogits = errors.New("no token can be chosen")
)

// Options say how a token is chosen. The names of the fields in messages are those of the command line's flags.
type Options struct {
	Sample            bool    // false: the token of the highest logit; the next four fields do nothing then
	Temperature       float64 // divides the logits; 0: as without Sample
	TopK              int     // only the K likeliest tokens; 0: all
	TopP              float64 // only the likeliest tokens that make up P together, in (0, 1]; 1: all
	MinP              float64 // only tokens at least P times as likely as the likeliest, in [0, 1]; 0: all
	RepetitionPenalty float64 // makes tokens that were there less likely when above 1; 1: off. Works without Sample too
	Seed              uint64  // the same seed, options and logits give the same tokens
}

// Defaults are the values that Hugging Face's GenerationConfig has for what a file does not say.
func Defaults() Options {
	return Options{Temperature: 1, TopK: 50, TopP: 1, RepetitionPenalty: 1}
}

// The penalty's range is wide enough for any use and keeps a penalised logit finite.
const minPenalty, maxPenalty = 0.01, 100

// OptionError is an option out of its range. It is an ErrOption.
type OptionError struct {
	Name  string // the command line's flag
	Value any
	Want  string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s %v: %v: want %s", e.Name, e.Value, ErrOption, e.Want)
}

func (e *OptionError) Unwrap() error { return ErrOption }

// Check returns an OptionError of the first option out of its range. The comparisons are written so that NaN fails them.
func (o *Options) Check() error {
	switch inf := math.Inf(1); {
	case !(o.Temperature >= 0 && o.Temperature < inf):
		return &OptionError{"temperature", o.Temperature, "a finite number, 0 or more"}
	case o.TopK < 0:
		return &OptionError{"top-k", o.TopK, "0 (off) or more"}
	case !(o.TopP > 0 && o.TopP <= 1):
		return &OptionError{"top-p", o.TopP, "a number above 0, at most 1 (off)"}
	case !(o.MinP >= 0 && o.MinP <= 1):
		return &OptionError{"min-p", o.MinP, "a number from 0 (off) to 1"}
	case !(o.RepetitionPenalty >= minPenalty && o.RepetitionPenalty <= maxPenalty):
		return &OptionError{"repetition-penalty", o.RepetitionPenalty, fmt.Sprintf("a number from %v to %v (1: off)", minPenalty, maxPenalty)}
	}
	return nil
}

// Sampler chooses tokens. It keeps its scratch and its random numbers between calls, so one Sampler serves one sequence
// at a time.
type Sampler struct {
	opt    Options
	rand   *rand.Rand
	scores []float32   // logits after the penalty, [vocab]
	best   []float32   // heap of the TopK highest scores, the lowest first
	kept   []candidate // tokens still in the draw
	ranked []ranked    // of NextOf: by rising id
	place  []uint16    // of NextOf: one more than the index in ranked of each token that is there, else 0; [vocab]
}

// candidate is a token and its weight: its probability but for a common factor, the likeliest token's being 1.
type candidate struct {
	id     int32
	weight float64
}

// NewSampler checks the options and makes room for logits of vocab tokens.
func NewSampler(opt Options, vocab int) (*Sampler, error) {
	if err := opt.Check(); err != nil {
		return nil, err
	}
	if vocab < 1 || vocab > math.MaxInt32 {
		return nil, fmt.Errorf("vocabulary of %d tokens: %w: want 1 to %d", vocab, ErrOption, math.MaxInt32)
	}
	if opt.TopK >= vocab {
		opt.TopK = 0
	}
	return &Sampler{
		opt:    opt,
		rand:   rand.New(rand.NewPCG(opt.Seed, 0)),
		scores: make([]float32, vocab),
		best:   make([]float32, 0, opt.TopK),
	}, nil
}

// Next returns the token that follows. logits, one for each token of the vocabulary, are read only; -Inf masks a token.
// history is the prompt and the tokens chosen so far, for the repetition penalty. After a few calls it allocates nothing.
//
// The order is Hugging Face's: RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
// TopPLogitsWarper (nucleus sampling, Holtzman et al. 2020), MinPLogitsWarper (Nguyen et al. 2024), softmax, draw.
func (s *Sampler) Next(logits []float32, history []int32) (int32, error) {
	if len(logits) != len(s.scores) {
		return 0, fmt.Errorf("%d logits, want %d, one for each token: %w", len(logits), len(s.scores), ErrLogits)
	}
	copy(s.scores, logits)
	if err := s.penalize(logits, history); err != nil {
		return 0, err
	}
	top, err := argmax(s.scores)
	if err != nil || !s.opt.Sample || s.opt.Temperature == 0 {
		return top, err
	}
	s.keepTopK(s.scores[top])
	s.keepTopP()
	return s.draw(), nil
}

// penalize divides the positive scores of tokens in history by the penalty and multiplies the negative ones, once for a
// token however often it was there (Keskar et al. 2019, in the form of RepetitionPenaltyLogitsProcessor).
func (s *Sampler) penalize(logits []float32, history []int32) error {
	penalty := float32(s.opt.RepetitionPenalty)
	if penalty == 1 {
		return nil
	}
	for i, id := range history {
		if id < 0 || int(id) >= len(logits) {
			return fmt.Errorf("history[%d]: token %d of a vocabulary of %d: %w", i, id, len(logits), ErrLogits)
		}
		if score := logits[id]; score < 0 {
			s.scores[id] = score * penalty
		} else {
			s.scores[id] = score / penalty
		}
	}
	return nil
}

// argmax is the first index of the highest score.
func argmax(scores []float32) (int32, error) {
	top, best := -1, float32(math.Inf(-1))
	for i, v := range scores {
		if v > best {
			top, best = i, v
		} else if v != v {
			return 0, fmt.Errorf("logit of token %d is NaN: %w", i, ErrLogits)
		}
	}
	switch {
	case top < 0:
		return 0, fmt.Errorf("all %d tokens are masked: %w", len(scores), ErrLogits)
	case math.IsInf(float64(best), 1):
		return 0, fmt.Errorf("logit of token %d is +Inf: %w", top, ErrLogits)
	}
	return int32(top), nil
}

// keepTopK puts the TopK likeliest tokens in kept, or all that are not masked, by rising id. Tokens that tie with the last
// stay, as in TopKLogitsWarper. Weights are exp((score - top) / temperature): the shift keeps them in range at any
// temperature.
func (s *Sampler) keepTopK(top float32) {
	least := float32(-math.MaxFloat32)
	if k := s.opt.TopK; k > 0 {
		s.best = s.best[:0]
		for _, v := range s.scores {
			if len(s.best) < k {
				s.best = append(s.best, v)
				if len(s.best) == k {
					slices.Sort(s.best) // a sorted slice is a heap
				}
			} else if v > s.best[0] {
				s.best[0] = v
				sink(s.best)
			}
		}
		least = max(least, s.best[0])
	}
	s.kept = s.kept[:0]
	for id, v := range s.scores {
		if v >= least {
			s.kept = append(s.kept, candidate{int32(id), math.Exp((float64(v) - float64(top)) / s.opt.Temperature)})
		}
	}
}

// sink restores a heap, the lowest first, whose first element has risen.
func sink(heap []float32) {
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(heap) && heap[child+1] < heap[child] {
			child++
		}
		if child >= len(heap) || heap[i] <= heap[child] {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// keepTopP keeps the likeliest tokens up to and with the one at which their probabilities reach TopP. Of equal tokens the
// one of the lower id goes first.
func (s *Sampler) keepTopP() {
	p := s.opt.TopP
	if p == 1 {
		return
	}
	total := sum(s.kept)
	// Tokens below this weight make up less than 1-p together, so none of them is kept. It spares most of the sorting.
	least := total * (1 - p) / float64(len(s.kept))
	s.kept = slices.DeleteFunc(s.kept, func(c candidate) bool { return c.weight < least })
	slices.SortFunc(s.kept, heavier)
	reached := 0.0
	for i, c := range s.kept {
		if reached >= p*total {
			s.kept = s.kept[:i]
			return
		}
		reached += c.weight
	}
}

// heavier orders tokens by falling weight, equal ones by rising id.
func heavier(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
}

// draw takes one of the kept tokens, each as likely as it is heavy. It leaves out those below MinP, the likeliest token's
// weight being 1.
func (s *Sampler) draw() int32 {
	s.kept = slices.DeleteFunc(s.kept, func(c candidate) bool { return c.weight < s.opt.MinP })
	left := s.rand.Float64() * sum(s.kept)
	for _, c := range s.kept {
		if left -= c.weight; left < 0 {
			return c.id
		}
	}
	return s.kept[len(s.kept)-1].id // by rounding
}

func sum(kept []candidate) float64 {
	total := 0.0
	for _, c := range kept {
		total += c.weight
	}
	return total
}
