package qwen25vl

import (
	"context"
	"errors"
	"slices"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/partition"
)

// feeder runs decode steps of which the next is started before the host has seen what the
// last one says: the device itself makes the likeliest token the next one. The host looks
// at each all the same, and what was started with another than it chooses, or behind the end, is thrown
// away: in the state it stands behind all that is held, where the next run writes.
type feeder struct {
	run   models.Feeder
	under int   // runs under way
	fed   int32 // token that the oldest of them was given, once the one before has ended
	last  token // whose scores there are
}

// token is what a decode step takes.
type token struct {
	id       int32
	past     int
	position int64
}

// feeder returns what feeds a runner of the decoder, or nil: a step that is fed has one
// token, whose highest logits are told.
func (x *extend) feeder(run models.Runner) *feeder {
	f, ok := run.(models.Feeder)
	step := slices.IndexFunc(x.graph.Inputs, func(v *graph.Value) bool { return partition.Source(v).Name == inStep })
	if !ok || step < 0 || x.ranks == 0 || x.drafts > 0 || !f.Feed(step, x.bestAt, 8*stepRows) {
		return nil
	}
	return &feeder{run: f}
}

// settle waits for the steps under way, which nobody wants.
func (f *feeder) settle() error {
	f.under = 0
	return f.run.Settle()
}

// decodeAhead is decode of one token, whose step may have been started already; with
// further the step behind it is.
func (s *Session) decodeAhead(ctx context.Context, id int32, past int, position int64, further bool) error {
	f := s.feeder
	if f.under > 0 && f.fed != id {
		if err := f.settle(); err != nil {
			return err
		}
	}
	f.run.Want(s.m.extend.without)
	if f.under == 0 {
		if err := s.startStep(ctx, id, past, position, false); err != nil {
			return err
		}
	}
	if further {
		if err := s.startStep(ctx, 0, past+1, position+1, true); err != nil { // of whatever token
			return err
		}
	}
	outs, err := f.run.Await()
	f.under--
	if err == nil {
		err = s.scores.rank(outs)
	}
	if err != nil {
		return err
	}
	s.scores.logits, s.scores.gone = nil, f.under > 0
	f.fed, f.last = int32(s.scores.at[0]), token{id, past, position}
	return nil
}

// again runs the last step once more, for all logits.
func (s *Session) again(ctx context.Context) error {
	t := s.feeder.last
	return errors.Join(s.feeder.settle(), s.decode(ctx, t.id, nil, t.past, t.position, true))
}

func (s *Session) startStep(ctx context.Context, id int32, past int, position int64, fed bool) error {
	if s.step == nil {
		s.step = s.m.extend.newStep(1)
	}
	s.step.set(id, nil, past, position)
	s.extend.Part("decode", int64(past+1))
	if err := s.feeder.run.Start(ctx, s.step.ins, fed); err != nil {
		return err
	}
	s.feeder.under++
	return nil
}
