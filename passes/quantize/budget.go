package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrBudget: even the fewest bits that the rules allow are more than the budget.
var ErrBudget = errors.New("over the budget")

// Budget gives weights that suffer more bits than their rules: int4 becomes int8,
// and int8 16 bits.
type Budget struct {
	Text  string
	Size  int64   // bytes of all weights that may be used up; 0: no such bound
	Error float64 // of one layer that is borne, see Layer.Error; 0: no such bound
}

// ParseBudget reads size=BYTES or error=NUMBER; size reads a number of bytes.
func ParseBudget(text string, size func(string) (int64, error)) (*Budget, error) {
	kind, value, _ := strings.Cut(text, "=")
	b := &Budget{Text: text}
	var err error
	switch kind {
	case "size":
		if b.Size, err = size(value); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrSpec, text, err)
		}
	case "error":
		if b.Error, err = strconv.ParseFloat(value, 64); err != nil || !(b.Error > 0 && b.Error < 1) {
			return nil, fmt.Errorf("%w: %q: an error is a number between 0 and 1, of a layer's weights relative to them", ErrSpec, text)
		}
	default:
		return nil, fmt.Errorf("%w: %q is no budget: write size=1.8GB or error=0.05", ErrSpec, text)
	}
	return b, nil
}

// choose sets the sites' formats. Errors are those of rounding where the codes will
// be chosen with calibration data.
func (b *Budget) choose(ctx context.Context, all []*site, before int64, o Options) error {
	if b.Error > 0 {
		return b.byError(ctx, all, o)
	}
	return b.bySize(ctx, all, before, o)
}

// errorOf measures the site's error in a format, as squares.
func (s *site) errorOf(ctx context.Context, f Format, o Options) (lossSum, error) {
	if f.bits() == 0 {
		return lossSum{power: 1}, nil // next to that of codes, none
	}
	if f.Method == GPTQ {
		f.Method = Round
	}
	if err := ctx.Err(); err != nil {
		return lossSum{}, err
	}
	s.layer.Path, s.layer.Weight = s.n.Label(), s.weight.Name
	return s.job(f, o).measure()
}

func (b *Budget) byError(ctx context.Context, all []*site, o Options) error {
	for _, s := range all {
		if s.twin != nil {
			s.format, s.raised = s.twin.format, s.twin.raised
			continue
		}
		for _, f := range s.levels {
			e, err := s.errorOf(ctx, f, o)
			if err != nil {
				return err
			}
			s.raised, s.format = f != s.levels[0], f
			if e.relative() <= b.Error {
				break
			}
		}
	}
	return nil
}

// bySize raises, step by step, what gains most for its bytes: the squared error of
// a layer, relative to its weights, that goes away.
func (b *Budget) bySize(ctx context.Context, all []*site, before int64, o Options) error {
	type unit struct {
		sites []*site
		level int
		left  []float64 // relative squared error at each level
	}
	var units []*unit
	of := map[*site]*unit{}
	used := before
	for _, s := range all {
		if s.twin != nil {
			u := of[s.twin]
			u.sites = append(u.sites, s)
			used -= s.weight.Const.Size()
			continue
		}
		u := &unit{sites: []*site{s}}
		for _, f := range s.levels {
			e, err := s.errorOf(ctx, f, o)
			if err != nil {
				return err
			}
			u.left = append(u.left, math.Pow(e.relative(), 2))
		}
		units, of[s] = append(units, u), u
		used += s.bytes(s.format) - s.weight.Const.Size()
	}
	if used > b.Size {
		return fmt.Errorf("%w: the weights need %d bytes where each has the bits of its rule, %q allows %d", ErrBudget, used, b.Text, b.Size)
	}
	for {
		var best *unit
		most, cost := 0.0, int64(0)
		for _, u := range units {
			first := u.sites[0]
			if u.level+1 >= len(first.levels) {
				continue
			}
			bytes := first.bytes(first.levels[u.level+1]) - first.bytes(first.levels[u.level])
			gain := (u.left[u.level] - u.left[u.level+1]) / float64(max(1, bytes))
			if used+bytes <= b.Size && gain > most {
				best, most, cost = u, gain, bytes
			}
		}
		if best == nil {
			return nil
		}
		best.level++
		used += cost
		for _, s := range best.sites {
			s.format, s.raised = s.levels[best.level], true
		}
	}
}
