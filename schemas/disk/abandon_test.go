//go:build unix

package disk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestAbandon abandons the disk at each call of each way to write: what was there
// stays, or what is new is there whole, and nothing else is.
func TestAbandon(t *testing.T) {
	for _, w := range writings() {
		ended := false
		for n := 1; !ended; n++ {
			dir := lay(t, w.old)
			calls := 0
			d := &Disk{}
			d.Before = func(Call) error {
				if calls++; calls == n {
					d.Abandon(t.Context())
				}
				return nil
			}
			err := w.write(d, dir)
			ended = calls < n
			have := files(t, dir)
			where := fmt.Sprintf("%s: abandoned at call %d", w.name, n)
			if err != nil && !errors.Is(err, ErrWrite) {
				t.Errorf("%s: %v", where, err)
			}
			if want := map[bool]map[string]string{true: w.want, false: w.old}[err == nil]; !same(have, want) {
				t.Errorf("%s (%v): the folder holds %v", where, err, have)
			}
		}
	}
}

// TestAbandonMeanwhile abandons it while another goroutine writes.
func TestAbandonMeanwhile(t *testing.T) {
	for range 30 {
		for _, w := range writings() {
			dir := lay(t, w.old)
			d := &Disk{}
			wrote := make(chan error)
			go func() { wrote <- w.write(d, dir) }()
			time.Sleep(time.Duration(rand.Int64N(int64(400 * time.Microsecond)))) //nolint:gosec // a moment
			d.Abandon(t.Context())
			err := <-wrote
			if have := files(t, dir); !same(have, w.old) && !same(have, w.want) {
				t.Errorf("%s (%v): the folder holds %d files", w.name, err, len(have))
			}
		}
	}
}
