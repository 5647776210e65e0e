//go:build linux && !nogpu

package cuda_test

import (
	"fmt"
	"testing"
	"time"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
)

// TestLost wants a lost context to be called no more, and what it held to close without
// an error.
func TestLost(t *testing.T) {
	if standin.Real() {
		return // no fault can be made there without harm
	}
	for _, status := range []int{46, 214, 700, 702, 719} {
		dev := standin.Use(t, fmt.Sprintf("fault=cuMemcpyHtoDAsync:1:%d", status))
		d, err := open(t)
		if err != nil {
			t.Fatal(err)
		}
		err = round(d, 1000)
		wants(t, err, runtime.ErrLost, "cuda:0 answers nothing more", fmt.Sprint(status))
		calls := dev.Calls("")
		wants(t, round(d, 10), runtime.ErrLost, fmt.Sprint(status))
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if more := dev.Calls("") - calls; more != 0 {
			t.Errorf("status %d: %d calls after the context was lost", status, more)
		}
	}
}

// TestTooOld wants a driver that cannot read the kernels to say so.
func TestTooOld(t *testing.T) {
	if standin.Real() {
		return
	}
	standin.Use(t, "version=12020")
	_, err := (&cuda.Backend{Timeout: time.Minute}).Profile(0)
	wants(t, err, runtime.ErrUnavailable, "speaks CUDA 12.2", "12.4")
}
