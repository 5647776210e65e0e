package qwen25vl_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"mnnconv/models/qwen25vl"
	"mnnconv/runtime/sim"
)

// TestSchedulesGiveTheSameBits runs one question's phases serially, overlapped
// and in random orders, on devices that hold commands back by chance.
func TestSchedulesGiveTheSameBits(t *testing.T) {
	l := newLab(t, random(rand.New(rand.NewPCG(1, 2)), qwen25vl.Grid{T: 1, H: 4, W: 4}))
	schedules := []string{"serial", "overlap"}
	for seed := range seeds {
		schedules = append(schedules, fmt.Sprintf("random:%d", seed))
	}
	for k, place := range []string{
		"vision=sim:0,llm=sim:1",
		"vision=sim:1,llm.layers.0-1=sim:0,llm=sim:1",
		`/blocks\.\d*[02468]\./=sim:0,/blocks\.\d*[13579]\./=sim:1,/layers\.[02]\./=sim:1`,
	} {
		b := l.open(t, sim.Config{Seed: uint64(2*k + 1)}, sim.Config{Seed: uint64(2*k + 2)})
		for _, phase := range []string{"encode", "extend"} {
			e, err := l.executor(b, l.plan(t, b, phase, place, nil))
			if err != nil {
				t.Fatal(err)
			}
			want := l.bits(t, b, phase, "", nil)[0]
			for _, schedule := range schedules {
				got, err := l.run(e, schedule)
				if err != nil {
					t.Fatalf("%s, %s, %s: %v", phase, place, schedule, err)
				}
				if !bytes.Equal(got[0], want) {
					t.Errorf("%s, %s, %s: other bits than on the cpu", phase, place, schedule)
				}
			}
			closed(t, e)
		}
		closed(t, b)
	}
}
