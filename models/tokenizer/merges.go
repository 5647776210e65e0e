package tokenizer

import (
	"fmt"
	"math"
	"runtime"
	"sync"
)

// rule says that two neighbours merge to a third token, and how early.
type rule struct{ left, right, rank, merged int32 }

const never = math.MaxInt32 // above all ranks

// merges finds rules by their pairs of tokens. They are sorted, not hashed: a file is
// found to be sound by looking at it once, and cannot be made to be slow.
type merges struct {
	firsts  numbers // by left token: its first rule, and the end of the last one's
	rights  numbers // by rule: its right token; they ascend for each left one
	results numbers // by rule: its rank and what it merges to
}

// newMerges sorts rules over size ids. The last of those of one pair holds.
func newMerges(rules []rule, size int) merges {
	rules = ordered(rules, size, func(r rule) int32 { return r.right })
	rules = ordered(rules, size, func(r rule) int32 { return r.left })
	m := merges{newNumbers(size + 1), make(numbers, 0, 4*len(rules)), make(numbers, 0, 8*len(rules))}
	for i, r := range rules {
		if i+1 < len(rules) && rules[i+1].left == r.left && rules[i+1].right == r.right {
			continue
		}
		m.rights = m.rights.append(r.right)
		m.results = m.results.append(r.rank, r.merged)
		m.firsts.set(int(r.left)+1, int32(m.rights.len()))
	}
	for id := range size { // those without rules
		m.firsts.set(id+1, max(m.firsts.at(id), m.firsts.at(id+1)))
	}
	return m
}

// ordered returns rules in the order of one of their tokens, those of the same token in
// the order that they are in.
func ordered(rules []rule, size int, token func(rule) int32) []rule {
	next := make([]int32, size+1)
	for _, r := range rules {
		next[token(r)+1]++
	}
	for id := range size {
		next[id+1] += next[id]
	}
	out := make([]rule, len(rules))
	for _, r := range rules {
		at := &next[token(r)]
		out[*at] = r
		*at++
	}
	return out
}

// find returns what two tokens merge to, and at which rank: never if they do not.
func (m *merges) find(left, right int32) (rank, merged int32) {
	from, to := int(m.firsts.at(int(left))), int(m.firsts.at(int(left)+1))
	if from == to {
		return never, -1
	}
	row := m.rights[4*from : 4*to]
	i := 0
	for n := to - from; n > 1; n -= n / 2 { // right is none or one of the n behind i
		if next := i + n/2; row.at(next) <= right {
			i = next
		}
	}
	if row.at(i) != right {
		return never, -1
	}
	return m.results.at(2 * (from + i)), m.results.at(2*(from+i) + 1)
}

// ruleMaker makes rules while a tokenizer is made.
type ruleMaker struct {
	*vocabulary
	ids index
}

// rule returns the rule of two tokens, whose spellings together must be one.
func (k ruleMaker) rule(left, right int32, rank int) (rule, error) {
	l, r := k.token(left), k.token(right)
	var buf [64]byte // the look-up needs no string of its own
	id, ok := k.ids[string(append(append(buf[:0], l...), r...))]
	if !ok {
		return rule{}, malformed("merging %.60q and %.60q gives %.60q, which is no token", l, r, l+r)
	}
	return rule{left, right, int32(rank), id}, nil
}

// spelledRule is a rule of two tokens by their spellings.
type spelledRule struct{ left, right string }

// spelled returns the rule that r spells.
func (k ruleMaker) spelled(r spelledRule, rank int) (rule, error) {
	left, ok := k.ids[r.left]
	if !ok {
		return rule{}, malformed("%.60q is no token", r.left)
	}
	right, ok := k.ids[r.right]
	if !ok {
		return rule{}, malformed("%.60q is no token", r.right)
	}
	return k.rule(left, right, rank)
}

// all makes rules, whose ranks are their indexes. Most of the time of loading goes into
// the look-ups of their spellings, which all processors share.
func (k ruleMaker) all(spelled []spelledRule) ([]rule, error) {
	rules, faults := make([]rule, len(spelled)), make([]error, runtime.GOMAXPROCS(0))
	each := max(1, (len(rules)+len(faults)-1)/len(faults))
	var group sync.WaitGroup
	for w := range faults {
		group.Go(func() {
			for i := min(w*each, len(rules)); i < min((w+1)*each, len(rules)) && faults[w] == nil; i++ {
				var err error
				if rules[i], err = k.spelled(spelled[i], i); err != nil {
					faults[w] = fmt.Errorf("[%d]: %w", i, err)
				}
			}
		})
	}
	group.Wait()
	for _, err := range faults { // the first one first
		if err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// learned returns the merges of rules. Special tokens are found by their spelling alone:
// text must never add up to one.
func (k ruleMaker) learned(rules []rule) merges {
	ordinary := rules[:0]
	for _, r := range rules {
		if !k.special[r.merged] {
			ordinary = append(ordinary, r)
		}
	}
	return newMerges(ordinary, k.Size())
}
