package tests

import (
	"slices"
	"testing"

	"mnnconv/models"
)

// TestLookup answers with drafts what is answered without: the same tokens, from a
// folder and from a package, cut or not, greedily and by chance, also when a
// conversation goes on from what the state holds.
func TestLookup(t *testing.T) {
	dir := Export(t, "tjs-q4f16")
	said := func(text string) models.Turn {
		return models.Turn{Role: "user", Parts: []models.Part{{Text: text}}}
	}
	sampled := greedy
	sampled.Sampling.Sample, sampled.Sampling.Temperature, sampled.Sampling.Seed = true, 1.5, 7
	sampled.Most = 60
	long := greedy
	long.Most = 60
	long.Reuse = true
	var questions []models.Question
	for _, c := range Conversations(t)[:3] {
		questions = append(questions, c.Asking(t))
	}
	again := "There is a red cross at the top left, a red ring at the top left, a red cross at the top left. Describe it."
	questions = append(questions, models.Question{Turns: []models.Turn{said(again)}},
		models.Question{Turns: []models.Turn{said(again), {Role: "assistant", Parts: []models.Part{{Text: "There is a red cross at the top left."}}}, said(again)}})
	for _, place := range []string{"", "llm.layers.0-1=sim:0,llm.layers.2-3=sim:1"} {
		plain, err := answersOf(t, dir, place, 0, questions, long, sampled)
		if err != nil {
			t.Fatal(err)
		}
		paths := map[string]string{"folder": dir}
		if place == "" {
			paths["package"] = written(t, dir, options(place))
		}
		for name, path := range paths {
			for _, n := range []int{1, 4, 15} {
				drafted, err := answersOf(t, path, place, n, questions, long, sampled)
				if err != nil {
					t.Fatal(err)
				}
				total, right := 0, 0
				for i := range plain {
					if !slices.Equal(plain[i].Tokens, drafted[i].Tokens) {
						t.Errorf("%s, --place %q, drafts of %d: answer %d is %v, without drafts %v", name, place, n, i, drafted[i].Tokens, plain[i].Tokens)
					}
					for _, a := range []*models.Answer{plain[i], drafted[i]} {
						if want := decodedOf(a); a.Stats.Decoded != want {
							t.Errorf("%s, --place %q, drafts of %d: answer %d has %d tokens of decode, want %d", name, place, n, i, a.Stats.Decoded, want)
						}
					}
					total += drafted[i].Stats.Drafted
					right += drafted[i].Stats.Accepted
				}
				if total == 0 || right == 0 || right == total {
					t.Errorf("%s, --place %q, drafts of %d: %d of %d tokens were right: nothing was tried", name, place, n, right, total)
				}
			}
		}
	}
}

// decodedOf is how many tokens decode brought: those behind the first and, unless the
// answer was cut, the one that ended it.
func decodedOf(a *models.Answer) int {
	if a.Cut {
		return len(a.Tokens) - 1
	}
	return len(a.Tokens)
}

// answersOf asks all questions, each in every manner.
func answersOf(t *testing.T, dir, place string, lookup int, questions []models.Question, manners ...models.Settings) (out []*models.Answer, err error) {
	t.Helper()
	o := options(place)
	o.Load.Lookup = lookup
	s := chat(t, dir, o)
	for _, q := range questions {
		for _, set := range manners {
			a, err := s.Ask(t.Context(), q, set)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
	}
	return out, nil
}
