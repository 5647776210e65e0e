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

// ParseSchedule reads "serial" (started one after the other as the plan has them, the default),
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

// serial reports whether commands are started one after the other as the plan has them.
func (s Schedule) serial() bool { return s.kind == "" || s.kind == "serial" }

// work is what a schedule drives: commands by their index. start may return before
// a command has ended, and end waits for that; start waits by itself for what
// Command.Waits names, if that has been started. Where each command is watched, it must
// end before the next one of a serial schedule starts.
type work interface {
	start(ctx context.Context, i int) error
	end(i int) error
	watched() bool
}

// run executes commands. All that were started have ended when it returns.
func (s Schedule) run(ctx context.Context, cmds []partition.Command, w work) error {
	switch s.kind {
	case "overlap":
		return overlapped(ctx, cmds, w)
	case "random":
		return shuffled(ctx, cmds, s.seed, w)
	}
	return serial(ctx, cmds, w)
}

// serial starts the commands in their order. A device that works through a queue by itself
// is handed all of it before anybody waits: a decode step's copies and launches then follow
// each other without the host.
func serial(ctx context.Context, cmds []partition.Command, w work) (err error) {
	started, ended := 0, 0
	defer func() { // after a panic too: memory that commands use is about to be released
		for ; ended < started; ended++ {
			err = errors.Join(err, w.end(ended))
		}
	}()
	for i := range cmds {
		if err := ctx.Err(); err != nil {
			return err
		}
		started = i + 1
		if err := w.start(ctx, i); err != nil {
			return err
		}
		if w.watched() {
			ended = i + 1
			if err := w.end(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// overlapped starts the commands of every queue in a goroutine of its own: a
// backend that computes within Submit keeps no other waiting. The first error
// stops the others.
func overlapped(ctx context.Context, cmds []partition.Command, w work) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	started := make([]chan struct{}, len(cmds))
	queues := map[string][]int{}
	for i, c := range cmds {
		started[i] = make(chan struct{})
		queues[c.Queue] = append(queues[c.Queue], i)
	}
	var wg sync.WaitGroup
	for _, q := range queues {
		wg.Go(func() {
			n := 0 // started
			for ; n < len(q) && ctx.Err() == nil; n++ {
				if !all(ctx, started, cmds[q[n]].Waits) {
					break
				}
				if err := w.start(ctx, q[n]); err != nil {
					cancel(err)
					n++
					break
				}
				close(started[q[n]])
			}
			for _, i := range q[:n] {
				if err := w.end(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// all waits until the given commands have been started, and returns false if the
// context ends before.
func all(ctx context.Context, started []chan struct{}, which []int) bool {
	for _, i := range which {
		select {
		case <-started[i]:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// shuffled starts one ready command after the other, chosen at random, and lets
// chance say how many are under way at once.
func shuffled(ctx context.Context, cmds []partition.Command, seed uint64, w work) (err error) {
	rng := rand.New(rand.NewPCG(seed, seed))
	started, ended := make([]bool, len(cmds)), make([]bool, len(cmds))
	defer func() {
		for i := range cmds {
			if started[i] && !ended[i] {
				err = errors.Join(err, w.end(i))
			}
		}
	}()
	for range cmds {
		if err := ctx.Err(); err != nil {
			return err
		}
		var ready []int
		blocked := map[string]bool{} // queues whose head waits
		for i, c := range cmds {
			if started[i] || blocked[c.Queue] {
				continue
			}
			blocked[c.Queue] = true // only the head of a queue may run
			ok := true
			for _, w := range c.Waits {
				ok = ok && started[w]
			}
			if ok {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			return fmt.Errorf("%w: commands wait for each other in a ring", ErrExecution)
		}
		i := ready[rng.IntN(len(ready))]
		started[i] = true
		if err := w.start(ctx, i); err != nil {
			return err
		}
		if rng.IntN(2) == 0 {
			ended[i] = true
			if err := w.end(i); err != nil {
				return err
			}
		}
	}
	return nil
}
