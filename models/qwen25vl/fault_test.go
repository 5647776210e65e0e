package qwen25vl_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/sim"
)

// TestFaultsOfTheModel makes each device call of an encoding and an extension fail,
// once and from then on. Programs, states and sessions are made again after an
// error; then the result is right.
func TestFaultsOfTheModel(t *testing.T) {
	l := newLab(t, random(rand.New(rand.NewPCG(5, 6)), qwen25vl.Grid{T: 1, H: 2, W: 2}))
	try := func(b *bench, phase string) ([][]byte, error) {
		e, err := l.executor(b, l.plan(t, b, phase, "vision=sim:0,llm.layers.0-1=sim:0,llm=sim:1", nil))
		if err != nil {
			return nil, err
		}
		bits, err := l.run(e, "overlap")
		return bits, errors.Join(err, e.Close())
	}
	for _, phase := range []string{"encode", "extend"} {
		healthy := l.open(t)
		want, err := try(healthy, phase)
		if err != nil {
			t.Fatal(err)
		}
		for device, d := range healthy.sims {
			calls := d.Stats().Calls[sim.Any]
			for n := 1; n <= calls; n += stride {
				for _, stays := range []bool{false, true} {
					var configs [2]sim.Config
					configs[device].Fault = sim.Fault{N: n, Stays: stays}
					b := l.open(t, configs[:]...)
					_, err := try(b, phase)
					if !errors.Is(err, runtime.ErrExecution) && !errors.Is(err, runtime.ErrMemory) || !strings.Contains(err.Error(), "simulated fault") {
						t.Errorf("%s, call %d of %d of sim:%d: %v", phase, n, calls, device, err)
					}
					got, err := try(b, phase)
					switch {
					case stays && err == nil:
						t.Errorf("%s, call %d of sim:%d: the fault is gone", phase, n, device)
					case !stays && (err != nil || !bytes.Equal(got[0], want[0])):
						t.Errorf("%s, call %d of sim:%d: the next run gives other bits, or %v", phase, n, device, err)
					}
					closed(t, b)
				}
			}
		}
		closed(t, healthy)
	}
}
