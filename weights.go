package mnnconv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	goruntime "runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"mnnconv/graph"
	"mnnconv/partition"
)

// ErrWeights: a weight holds what no sound model does.
var ErrWeights = errors.New("bad weights")

// CheckWeights reads every constant of a source, and returns an error that lists
// those that hold NaN, infinities (unless only sums and selections read them, as
// masks), or scales of 0. It reads all of the weights' files.
func CheckWeights(ctx context.Context, s *Source) error {
	var errs []error
	seen := map[*graph.Tensor]bool{}
	for _, ph := range s.Phases {
		for _, n := range ph.Graph.Nodes {
			for i, v := range n.Inputs {
				if v == nil || v.Const == nil || !v.Const.DType.IsFloat() || seen[v.Const] {
					continue
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if v.Const.Later != nil { // made of a weight in another type
					seen[v.Const] = true
					if err := v.Const.Later.Write(io.Discard); err != nil {
						errs = append(errs, fmt.Errorf("%s: %s: %w", s.Path, n.ID(), err))
					}
					continue
				}
				if odd := oddWeight(n, i, v.Const); odd != "" {
					seen[v.Const] = true
					errs = append(errs, fmt.Errorf("%s: %w: %q (%s), read by %s: %s", s.Path, ErrWeights, v.Name, v.Const.Type(), n.ID(), odd))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// MakeWeights computes, in memory, the weights that have their data later: those of
// another type of float than the files'. [Open] does it; who runs the plans without it
// calls this before.
func (s *Source) MakeWeights() error {
	var jobs []*graph.Tensor
	twins := map[*graph.Later][]*graph.Tensor{}
	for _, ph := range s.Phases {
		for _, n := range ph.Graph.Nodes {
			n.Reads(func(v *graph.Value) {
				if v.Const == nil || v.Const.Later == nil || slices.Contains(twins[v.Const.Later], v.Const) {
					return
				}
				if twins[v.Const.Later] == nil {
					jobs = append(jobs, v.Const)
				}
				twins[v.Const.Later] = append(twins[v.Const.Later], v.Const)
			})
		}
	}
	var group errgroup.Group
	group.SetLimit(goruntime.GOMAXPROCS(0))
	for _, t := range jobs {
		group.Go(func() error {
			same := twins[t.Later]
			if err := t.Make(); err != nil {
				return err
			}
			for _, u := range same {
				u.Data, u.Later = t.Data, nil
			}
			return nil
		})
	}
	return group.Wait()
}

// oddWeight says what is wrong with input i of a node, or nothing.
func oddWeight(n *graph.Node, i int, t *graph.Tensor) string {
	odd := partition.Scan(t, math.MaxFloat64)
	if masks := n.Is("Add") || n.Is("Where") || n.Is("Max") || n.Is("Min") || n.Is("Clip"); odd.NaN > 0 || odd.Inf > 0 && !masks {
		return odd.String()
	}
	if !scales(n, i) {
		return ""
	}
	f, err := t.Float32s()
	if err != nil {
		return err.Error()
	}
	zeros := 0
	for _, x := range f {
		if x == 0 {
			zeros++
		}
	}
	if zeros > 0 {
		return fmt.Sprintf("%d of %d scales are 0", zeros, len(f))
	}
	return ""
}

// scales reports whether input i of a node holds scales of quantised numbers.
func scales(n *graph.Node, i int) bool {
	switch n.Op {
	case "MatMulNBits", "GatherBlockQuantized":
		return i == 2
	case "DequantizeLinear", "QuantizeLinear":
		return i == 1
	}
	return false
}
