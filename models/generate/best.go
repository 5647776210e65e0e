package generate

import (
	"cmp"
	"math"
	"slices"
)

// Sampling from the highest logits alone. The others are at most as high as the
// lowest of these, and a penalty of 1 or more lowers every score it changes, or
// leaves it: what the others score is bounded without looking at them.

// margin is much more than what rounding makes of the sums and exponentials that are
// compared.
const margin = 1e-9

// Whole reports settings for which the highest logits never decide: a reward in the
// place of a penalty, or a draw from all tokens.
func (s *Sampler) Whole() bool {
	o := &s.opt
	return o.RepetitionPenalty < 1 || o.Sample && o.Temperature > 0 && o.TopK == 0 && o.TopP == 1 && o.MinP == 0
}

// Greedy reports settings that take the token of the highest logit, of equal ones that of
// the lower id, and nothing else.
func (s *Sampler) Greedy() bool {
	o := &s.opt
	return (!o.Sample || o.Temperature == 0) && o.RepetitionPenalty == 1
}

// NextOf returns the token that [Sampler.Next] would return, given but the highest
// logits: the highest first, of equal ones that of the lower id, as ONNX TopK has
// them, and their ids. ok is false where these do not decide it, and where Next would
// fail; nothing has happened then, and Next is to be asked.
func (s *Sampler) NextOf(logits []float32, ids []int64, history []int32) (id int32, ok bool) {
	n := len(logits)
	if n == 0 || n != len(ids) || n > math.MaxUint16 || s.Whole() || !(logits[0] < float32(math.Inf(1))) {
		return 0, false
	}
	floor, all := logits[n-1], n >= len(s.scores)
	if !s.penalizeBest(logits, ids, history) {
		return 0, false
	}
	top := slices.MaxFunc(s.ranked, func(a, b ranked) int { return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(b.id, a.id)) })
	if math.IsInf(float64(top.score), -1) || !all && top.score <= floor {
		return 0, false
	}
	if !s.opt.Sample || s.opt.Temperature == 0 {
		return top.id, true
	}
	if !s.keepBest(top.score, floor, all) {
		return 0, false
	}
	return s.draw(), true
}

// ranked is one of the highest logits after the penalty.
type ranked struct {
	id    int32
	score float32
}

// penalizeBest puts the scores of the highest logits in ranked. It
// returns false for ids that are none.
func (s *Sampler) penalizeBest(logits []float32, ids []int64, history []int32) bool {
	s.ranked = s.ranked[:0]
	for i, id := range ids {
		if id < 0 || id >= int64(len(s.scores)) {
			return false
		}
		s.ranked = append(s.ranked, ranked{int32(id), logits[i]})
	}
	penalty := float32(s.opt.RepetitionPenalty)
	if penalty == 1 {
		return true
	}
	if s.place == nil {
		s.place = make([]uint16, len(s.scores))
	}
	for i, r := range s.ranked {
		s.place[r.id] = uint16(i + 1)
	}
	known := true
	for _, id := range history {
		if id < 0 || int(id) >= len(s.place) {
			known = false
			break
		}
		if i := s.place[id]; i > 0 {
			s.place[id] = 0 // once for a token
			if r := &s.ranked[i-1]; r.score < 0 {
				r.score *= penalty
			} else {
				r.score /= penalty
			}
		}
	}
	for _, r := range s.ranked {
		s.place[r.id] = 0
	}
	return known
}

// keepBest puts the tokens that Next would draw from in kept, in its order. It
// returns false where tokens that score floor or less could be among them, or where
// their weights, which nobody knows, move a limit.
func (s *Sampler) keepBest(top, floor float32, all bool) bool {
	weight := func(score float32) float64 {
		return math.Exp((float64(score) - float64(top)) / s.opt.Temperature)
	}
	slices.SortFunc(s.ranked, func(a, b ranked) int { return cmp.Compare(a.id, b.id) })
	least, k := float32(-math.MaxFloat32), s.opt.TopK
	if k > 0 {
		if k > len(s.ranked) {
			return false
		}
		s.best = s.best[:0]
		for _, r := range s.ranked {
			s.best = append(s.best, r.score)
		}
		slices.Sort(s.best)
		last := s.best[len(s.best)-k]
		if !all && last <= floor {
			return false
		}
		least = max(least, last)
	}
	s.kept = s.kept[:0]
	for _, r := range s.ranked {
		if r.score >= least {
			s.kept = append(s.kept, candidate{r.id, weight(r.score)})
		}
	}
	if k > 0 || all {
		s.keepTopP()
		return true
	}
	others := weight(floor) * (1 + margin) // each of the others weighs that at most
	if s.opt.TopP == 1 {
		return s.opt.MinP > others
	}
	low := sum(s.kept)
	high := low + float64(others*float64(len(s.scores)-len(s.ranked)))
	slices.SortFunc(s.kept, heavier)
	reached := 0.0
	for i, c := range s.kept {
		if reached >= s.opt.TopP*high*(1+margin) {
			s.kept = s.kept[:i]
			return true
		}
		if reached >= s.opt.TopP*low*(1-margin) || c.weight <= others {
			return false
		}
		reached += c.weight
	}
	return false
}
