package qwen25vl_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"mnnconv/models/qwen25vl"
	"mnnconv/runtime/sim"
)

// request is a question of a random kind: a text, or one or two pictures of random
// sizes.
func request(seed uint64) func(*qwen25vl.Model) qwen25vl.Prepared {
	rng := rand.New(rand.NewPCG(seed, 11))
	return func(m *qwen25vl.Model) qwen25vl.Prepared {
		var q qwen25vl.Prepared
		for range rng.IntN(3) {
			p := random(rng, qwen25vl.Grid{T: 1 + rng.Int64N(2), H: 2 + 2*rng.Int64N(3), W: 2 + 2*rng.Int64N(3)})(m)
			q.IDs, q.Pixels, q.Grids = append(q.IDs, p.IDs...), append(q.Pixels, p.Pixels...), append(q.Grids, p.Grids...)
		}
		for range 1 + rng.IntN(9) {
			q.IDs = append(q.IDs, int32(5+rng.IntN(200)))
		}
		for a := range q.Positions {
			q.Positions[a] = make([]int64, len(q.IDs))
			for i := range q.IDs {
				q.Positions[a][i] = int64(i)
			}
		}
		return q
	}
}

// kinds is how many different requests there are.
const kinds = 20

func TestManyRequests(t *testing.T) {
	manyRequests(t, requests, 8<<20) // after a few requests not every buffer has had its full size
}

// manyRequests asks two sessions over one program at once, again and again, and
// wants the answers of single runs, no goroutine left and, after a tenth of the
// requests, no more memory than 1.02 times what there was, and slack bytes. It
// returns by what factor the resident memory grew.
func manyRequests(t *testing.T, requests int, slack float64) (grown float64) {
	t.Helper()
	before := goruntime.NumGoroutine()
	t.Run("requests", func(t *testing.T) {
		alone := open(t, "", "")
		var want [kinds][]int32
		for i := range want {
			a, err := alone.AskPrepared(t.Context(), request(uint64(i))(alone.model), greedy)
			if err != nil {
				t.Fatal(err)
			}
			want[i] = a.Tokens
		}
		x := open(t, "vision=sim:0,llm=sim:1", "overlap", sim.Config{Seed: 1}, sim.Config{Seed: 2})
		sessions := []*qwen25vl.Session{x.Session, x.chat(t)}
		defer closed(t, sessions[1])
		ask := func(from, to int) {
			var wg sync.WaitGroup
			for k, s := range sessions {
				wg.Go(func() {
					for i := from + k; i < to; i += len(sessions) {
						kind := (i * 7) % kinds
						a, err := s.AskPrepared(context.Background(), request(uint64(kind))(x.model), greedy)
						if err != nil {
							t.Errorf("request %d: %v", i, err)
						} else if !slices.Equal(a.Tokens, want[kind]) {
							t.Errorf("request %d: tokens %v, want %v", i, a.Tokens, want[kind])
						}
					}
				})
			}
			wg.Wait()
		}
		ask(0, requests/10)
		first, books := resident(), stats(x)
		ask(requests/10, requests)
		last := resident()
		grown = float64(last) / float64(max(first, 1))
		if float64(last) > 1.02*float64(first)+slack && !raced {
			t.Errorf("%d bytes resident after %d requests, %d after %d", last, requests, first, requests/10)
		}
		if now := stats(x); !slices.Equal(now, books) && requests > 10*kinds {
			t.Errorf("the devices hold %v after all requests, %v before", now, books)
		}
	})
	for range 100 { // what was closed is on its way out
		if goruntime.NumGoroutine() <= before {
			return grown
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", goruntime.NumGoroutine(), before, buf[:goruntime.Stack(buf, true)])
	return grown
}

func stats(x *opened) []int64 {
	var out []int64
	for _, d := range x.sims {
		out = append(out, d.Stats().Memory)
	}
	return out
}

// resident returns the process's resident memory in bytes, after what is not used
// any more was given back; 0 where the system has no /proc.
func resident() int64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	var size, pages int64
	if _, scan := fmt.Sscan(string(b), &size, &pages); err != nil || scan != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
