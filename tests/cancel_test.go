package tests

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestCancelHalf asks many questions at once over one loaded model, and takes half of
// them back: after their first piece of text, or before they began. The others are
// answered as alone, the devices hold what they held, and no goroutine is left.
func TestCancelHalf(t *testing.T) {
	before := goruntime.NumGoroutine()
	t.Run("requests", func(t *testing.T) {
		o, devices := simulated("vision=sim:0,llm=sim:1")
		dir := Export(t, "tjs-q4f16")
		set := greedy
		set.Most = 8
		questions := mixed(t)[:5]
		alone := chat(t, dir, o)
		want := make([][]int32, len(questions))
		for i, q := range questions {
			a, err := alone.Ask(t.Context(), q, set)
			if err != nil {
				t.Fatal(err)
			}
			want[i] = a.Tokens
		}
		all := slots(t, dir, o, 4)
		round := func() (cancelled int) {
			var mu sync.Mutex
			var wg sync.WaitGroup
			next := make(chan int, 24)
			for i := range cap(next) {
				next <- i
			}
			close(next)
			for _, s := range all {
				wg.Go(func() {
					for i := range next {
						q := i % len(questions)
						ctx, cancel := context.WithCancel(t.Context())
						set := set
						switch i % 4 {
						case 1:
							set.OnText = func(string) error { cancel(); return nil }
						case 3:
							cancel()
						}
						a, err := s.Ask(ctx, questions[q], set)
						switch {
						case i%2 == 1 && errors.Is(err, context.Canceled):
							mu.Lock()
							cancelled++
							mu.Unlock()
						case err != nil:
							t.Errorf("question %d: %v", i, err)
						case !slices.Equal(a.Tokens, want[q]):
							t.Errorf("question %d: tokens %v, want %v", i, a.Tokens, want[q])
						}
						cancel()
					}
				})
			}
			wg.Wait()
			return cancelled
		}
		held := func() (out []int64) {
			for _, d := range *devices {
				out = append(out, d.Stats().Memory)
			}
			return out
		}
		round()
		was := held()
		if n := round(); n < 6 {
			t.Errorf("%d of 24 were taken back", n)
		}
		if is := held(); !slices.Equal(is, was) {
			t.Errorf("the devices hold %v, before %v", is, was)
		}
	})
	for range 200 { // what was closed is on its way out
		if goruntime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", goruntime.NumGoroutine(), before, buf[:goruntime.Stack(buf, true)])
}
