package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"mnnconv/partition"
)

// Schedule says in which order a plan's commands run. All of them give the same
// bits.
type Schedule struct {
	kind string
	seed uint64
}

// ErrSchedule: the name of a schedule cannot be read.
var ErrSchedule = errors.New("schedule")

// ParseSchedule reads "serial" (one command after the other, the default),
// "overlap" (every queue on its own, ordered by waits) or "random:SEED" (one after
// the other, in a random order that the waits allow).
func ParseSchedule(text string) (Schedule, error) {
	name, arg, found := strings.Cut(text, ":")
	switch {
	case text == "", text == "serial":
		return Schedule{kind: "serial"}, nil
	case text == "overlap":
		return Schedule{kind: "overlap"}, nil
	case name == "random" && found:
		seed, err := strconv.ParseUint(arg, 10, 64)
		if err == nil {
			return Schedule{kind: "random", seed: seed}, nil
		}
	}
	return Schedule{}, fmt.Errorf("%w %q: expected serial, overlap or random:SEED", ErrSchedule, text)
}

// run executes commands with do, which is called once for each.
func (s Schedule) run(ctx context.Context, cmds []partition.Command, do func(context.Context, partition.Command) error) error {
	switch s.kind {
	case "overlap":
		return overlapped(ctx, cmds, do)
	case "random":
		return shuffled(ctx, cmds, s.seed, do)
	}
	for _, c := range cmds {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// overlapped runs every queue in a goroutine of its own. The first error stops
// the others; all have ended when it returns.
func overlapped(ctx context.Context, cmds []partition.Command, do func(context.Context, partition.Command) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make([]chan struct{}, len(cmds))
	queues := map[string][]int{}
	for i, c := range cmds {
		done[i] = make(chan struct{})
		queues[c.Queue] = append(queues[c.Queue], i)
	}
	var wg sync.WaitGroup
	for _, q := range queues {
		wg.Go(func() {
			for _, i := range q {
				for _, w := range cmds[i].Waits {
					select {
					case <-done[w]:
					case <-ctx.Done():
						return
					}
				}
				if ctx.Err() != nil {
					return
				}
				if err := do(ctx, cmds[i]); err != nil {
					cancel(err)
					return
				}
				close(done[i])
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// shuffled runs one ready command after the other, chosen at random.
func shuffled(ctx context.Context, cmds []partition.Command, seed uint64, do func(context.Context, partition.Command) error) error {
	rng := rand.New(rand.NewPCG(seed, seed))
	ended := make([]bool, len(cmds))
	for range cmds {
		if err := ctx.Err(); err != nil {
			return err
		}
		var ready []int
		blocked := map[string]bool{} // queues whose head waits
		for i, c := range cmds {
			if ended[i] || blocked[c.Queue] {
				continue
			}
			blocked[c.Queue] = true // only the head of a queue may run
			ok := true
			for _, w := range c.Waits {
				ok = ok && ended[w]
			}
			if ok {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			return fmt.Errorf("%w: commands wait for each other in a ring", ErrExecution)
		}
		i := ready[rng.IntN(len(ready))]
		if err := do(ctx, cmds[i]); err != nil {
			return err
		}
		ended[i] = true
	}
	return nil
}
