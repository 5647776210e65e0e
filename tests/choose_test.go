package tests

import (
	"context"
	"math"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
)

// hiding is a runner of the decoder that spoils the highest logits, so that tokens are
// chosen from all.
type hiding struct {
	models.Runner
	spoil   bool
	fetched *int
}

func (h hiding) Run(ctx context.Context, inputs []*graph.Tensor) ([]*graph.Tensor, error) {
	outs, err := h.Runner.Run(ctx, inputs)
	if err == nil && h.spoil {
		outs = slices.Clone(outs)
		best := outs[len(outs)-2]
		nan := make([]float32, best.Len())
		for i := range nan {
			nan[i] = float32(math.NaN())
		}
		outs[len(outs)-2] = graph.Floats(nan, best.Shape...)
	}
	return outs, err
}

func (h hiding) Fetch(ctx context.Context, output int) (*graph.Tensor, error) {
	*h.fetched++
	return h.Runner.Fetch(ctx, output)
}

// TestChoose wants the tokens that are chosen from the highest logits to be those
// chosen from all, for each way of choosing, wherever the head runs, and all logits
// to be fetched only where they are needed.
func TestChoose(t *testing.T) {
	all := Conversations(t)[:2]
	ways := map[string]func(*models.Settings){
		"greedy":  func(*models.Settings) {},
		"penalty": func(s *models.Settings) { s.Sampling.RepetitionPenalty = 1.3 },
		"own":     func(s *models.Settings) { s.Sampling.Sample, s.Sampling.Temperature, s.Sampling.TopK = true, 1e-6, 50 },
		"top-k":   func(s *models.Settings) { s.Sampling.Sample, s.Sampling.TopK = true, 20 },
		"top-p": func(s *models.Settings) {
			s.Sampling.Sample, s.Sampling.TopP, s.Sampling.RepetitionPenalty = true, 0.9, 1.05
		},
		"min-p":     func(s *models.Settings) { s.Sampling.Sample, s.Sampling.MinP = true, 0.05 },
		"all":       func(s *models.Settings) { s.Sampling.Sample = true },
		"too large": func(s *models.Settings) { s.Sampling.Sample, s.Sampling.TopK = true, 200 },
	}
	for _, place := range []string{"", "vision=sim:0,llm=sim:1", "llm=sim:0,head=cpu"} {
		for name, way := range ways {
			answers, fetches := [2][][]int32{}, [2]int{}
			for i, spoil := range []bool{false, true} {
				o, _ := simulated(place)
				o.Session.Wrap = func(phase string, own models.Runner) models.Runner {
					if phase != "extend" {
						return own
					}
					return hiding{own, spoil, &fetches[i]}
				}
				s := chat(t, Export(t, "tjs-fp16"), o)
				for seed, c := range all {
					set := greedy
					set.Most, set.Sampling.Seed = 12, uint64(seed)
					way(&set)
					a, err := s.Ask(context.Background(), c.Asking(t), set)
					if err != nil {
						t.Fatalf("%s, %s: %v", place, name, err)
					}
					answers[i] = append(answers[i], a.Tokens)
				}
			}
			for i := range all {
				if !slices.Equal(answers[0][i], answers[1][i]) {
					t.Errorf("%s, %s: tokens %v, of all logits %v", place, name, answers[0][i], answers[1][i])
				}
			}
			if few := name != "too large"; few && fetches[0] > 4 || !few && fetches[0] == 0 || name != "all" && fetches[1] == 0 {
				t.Errorf("%s, %s: all logits were fetched %d times, and %d times without the highest", place, name, fetches[0], fetches[1])
			}
		}
	}
}
