package sim

import (
	"fmt"
	"time"

	"mnnconv/runtime"
)

// Config is how one simulated device behaves. The zero value is a device of 8 GiB
// that supports everything, answers at once and never fails.
type Config struct {
	Memory    int64    // bytes; 0: 8 GiB
	MaxAlloc  int64    // bytes of one allocation; 0: Memory
	Align     int64    // of every address a kernel gets, in bytes; 0: 256
	DTypes    []string // it computes in; empty: all
	Operators []string // it has kernels for; empty: all

	Transfer Cost // of one transfer; its bytes are those moved
	Launch   Cost // of one launch; its bytes are those of its inputs and weights
	// Virtual has costs move only the clock that events report, without sleeping.
	Virtual bool

	// Seed, unless 0, draws for each transfer and launch whether it runs at once,
	// after other goroutines had a turn, or only when somebody waits for it or for
	// what comes after it in its queue: all that waits allow.
	Seed uint64

	Fault Fault
}

// Cost is a time for each command and a speed.
type Cost struct {
	Latency   time.Duration
	Bandwidth int64 // bytes a second; 0: no limit
}

func (c Cost) of(bytes int64) time.Duration {
	d := c.Latency
	if c.Bandwidth > 0 {
		d += time.Duration(float64(bytes) / float64(c.Bandwidth) * float64(time.Second))
	}
	return d
}

// Call is a kind of device call.
type Call uint8

// The calls that can fail. Any stands for all of them.
const (
	Any Call = iota
	Alloc
	Transfer
	Compile
	Record
	Submit
	Wait
	calls // how many there are
)

var callNames = [calls]string{"any", "alloc", "transfer", "compile", "record", "submit", "wait"}

// String returns the call's name.
func (c Call) String() string { return callNames[c] }

// Fault makes call number N of a kind fail.
type Fault struct {
	Call  Call
	N     int  // from 1; 0: no fault
	Stays bool // every later call of the kind fails too
}

// Stats are a device's books.
type Stats struct {
	Calls       [calls]int // by kind; Calls[Any] is their sum
	Memory      int64      // bytes of device memory in use
	HighWater   int64      // the largest Memory there was
	Buffers     int        // alive, pinned ones included
	Transferred int64      // bytes
}

// count notes a call and returns the fault it was chosen for.
func (d *Device) count(c Call) error {
	d.books.Lock()
	defer d.books.Unlock()
	d.calls[c]++
	d.calls[Any]++
	f := d.config.Fault
	n := d.calls[f.Call]
	if f.N == 0 || f.Call != Any && f.Call != c || n != f.N && !(f.Stays && n > f.N) {
		return nil
	}
	cause := runtime.ErrExecution
	if c == Alloc {
		cause = runtime.ErrMemory
	}
	return fmt.Errorf("%w: %s: simulated fault at call %d (%s)", cause, d.space, d.calls[Any], c)
}

// Stats returns the books.
func (d *Device) Stats() Stats {
	d.books.Lock()
	defer d.books.Unlock()
	s := Stats{Calls: d.calls, Transferred: d.moved}
	var n int
	s.Memory, s.HighWater, s.Buffers = d.heap.stats()
	_, _, n = d.pinned.stats()
	s.Buffers += n
	return s
}
