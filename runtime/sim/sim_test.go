package sim_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mnnconv/runtime"
	"mnnconv/runtime/sim"
)

// open returns device sim:0. Tests close it themselves where they want to see how.
func open(t *testing.T, c sim.Config) *sim.Device {
	t.Helper()
	b := &sim.Backend{Threads: 1}
	b.Config[0] = c
	p, err := b.Profile(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*sim.Device)
}

func alloc(t *testing.T, d runtime.Device, size int64, kind runtime.MemoryKind) runtime.Buffer {
	t.Helper()
	b, err := d.Alloc(size, kind)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func whole(b runtime.Buffer) runtime.View { return runtime.View{Buffer: b, Size: b.Size()} }

func hostBytes(t *testing.T, b runtime.Buffer) []byte {
	t.Helper()
	mem, err := b.(runtime.HostBuffer).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return mem
}

func transfer(t *testing.T, d runtime.Device, dst, src runtime.Buffer, waits ...runtime.Event) runtime.Event {
	t.Helper()
	e, err := d.Transfer(whole(dst), whole(src), waits)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func wants(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not named in %q", w, err)
		}
	}
}

func closed(t *testing.T, cs ...interface{ Close() error }) {
	t.Helper()
	for _, c := range cs {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// gate is an event that a test opens.
type gate chan struct{}

func (g gate) Wait(context.Context) error           { <-g; return nil }
func (gate) Times() (start, end time.Time, ok bool) { return }
func (g gate) behind(t *testing.T, d *sim.Device, dst, src runtime.Buffer) runtime.Event {
	return transfer(t, d, dst, src, g)
}

// TestTransferIsAsynchronous reads a transfer's target before its event: there is
// poison; and after it: there are the bytes.
func TestTransferIsAsynchronous(t *testing.T) {
	d := open(t, sim.Config{})
	up, dev, down := alloc(t, d, 8, runtime.PinnedHost), alloc(t, d, 8, runtime.DeviceMemory), alloc(t, d, 8, runtime.PinnedHost)
	copy(hostBytes(t, up), "abcdefgh")
	g := make(gate)
	g.behind(t, d, dev, up)
	e := transfer(t, d, down, dev)
	if got := hostBytes(t, down); !bytes.Equal(got, bytes.Repeat([]byte{0xCB}, 8)) {
		t.Errorf("before the event: %q", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with an ended context: %v", err)
	}
	if _, _, ok := e.Times(); ok {
		t.Error("it has times before it ended")
	}
	close(g)
	if err := e.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := hostBytes(t, down); string(got) != "abcdefgh" {
		t.Errorf("after the event: %q", got)
	}
	if s := d.Stats(); s.Transferred != 16 || s.Calls[sim.Transfer] != 2 || s.HighWater != 8 || s.Buffers != 3 {
		t.Errorf("books: %+v", s)
	}
	closed(t, up, dev, down, d)
}

// TestHeldBack wants commands to stay in the queue until somebody waits for a later
// one, with some seed.
func TestHeldBack(t *testing.T) {
	held := 0
	for seed := range uint64(20) {
		d := open(t, sim.Config{Seed: seed + 1})
		dev, down := alloc(t, d, 4, runtime.DeviceMemory), alloc(t, d, 4, runtime.PinnedHost)
		first := transfer(t, d, down, dev)
		last := transfer(t, d, down, dev)
		time.Sleep(time.Millisecond)
		if _, _, ok := first.Times(); !ok {
			held++
		}
		if err := last.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, _, ok := first.Times(); !ok {
			t.Error("a later command ended before an earlier one of its queue")
		}
		closed(t, dev, down, d)
	}
	if held == 0 {
		t.Error("no command was held back")
	}
}

func TestMisuse(t *testing.T) {
	d := open(t, sim.Config{Memory: 100, MaxAlloc: 64})
	other := open(t, sim.Config{})
	_, err := d.Alloc(65, runtime.DeviceMemory)
	wants(t, err, runtime.ErrMemory, "sim:0", "64", "65")
	_, err = d.Alloc(-1, runtime.DeviceMemory)
	wants(t, err, runtime.ErrMemory)
	a := alloc(t, d, 60, runtime.DeviceMemory)
	_, err = d.Alloc(41, runtime.DeviceMemory)
	wants(t, err, runtime.ErrMemory, "40 bytes free of 100", "41")
	host := alloc(t, d, 60, runtime.PinnedHost)
	_, err = d.Transfer(runtime.View{Buffer: a, Offset: 1, Size: 60}, whole(host), nil)
	wants(t, err, runtime.ErrAddress, "1 to 61")
	_, err = d.Transfer(runtime.View{Buffer: a, Size: 59}, whole(host), nil)
	wants(t, err, runtime.ErrAddress, "59")

	g := make(gate)
	e := g.behind(t, d, a, host)
	wants(t, a.Close(), runtime.ErrAddress, "while a command uses it")
	close(g)
	if err := e.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	wants(t, a.Close(), runtime.ErrAddress, "released twice")
	_, err = d.Transfer(whole(a), whole(host), nil)
	wants(t, err, runtime.ErrAddress, "after its release")
	again := alloc(t, d, 60, runtime.DeviceMemory) // the same bytes perhaps, another generation
	_, err = d.Transfer(whole(host), whole(a), nil)
	wants(t, err, runtime.ErrAddress, "after its release")

	closed(t, host)
	_, err = host.(runtime.HostBuffer).Bytes()
	wants(t, err, runtime.ErrAddress, "after its release")
	wants(t, d.Close(), runtime.ErrAddress, "1 buffers of 60 bytes in sim:0 were never released")
	closed(t, again, other)
	wants(t, other.Close(), runtime.ErrAddress, "closed twice")
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault sim.Fault
		fails string // of six transfers that are waited for: which, and where
	}{
		{sim.Fault{}, ""},
		{sim.Fault{Call: sim.Transfer, N: 2}, "t1"},
		{sim.Fault{Call: sim.Transfer, N: 5, Stays: true}, "t4 t5"},
		{sim.Fault{Call: sim.Wait, N: 3}, "w2"},
		{sim.Fault{Call: sim.Any, N: 4}, "w0"}, // after two allocations and a transfer
		{sim.Fault{Call: sim.Any, N: 13, Stays: true}, "t5"},
	} {
		d := open(t, sim.Config{Fault: c.fault})
		dev, host := alloc(t, d, 4, runtime.DeviceMemory), alloc(t, d, 4, runtime.PinnedHost)
		var got []string
		for i := range 6 {
			n := string(rune('0' + i))
			e, err := d.Transfer(whole(dev), whole(host), nil)
			if err != nil {
				wants(t, err, runtime.ErrExecution, "simulated fault", "sim:0", "transfer")
				got = append(got, "t"+n)
				continue
			}
			if err := e.Wait(context.Background()); err != nil {
				wants(t, err, runtime.ErrExecution, "wait")
				got = append(got, "w"+n)
			}
		}
		if strings.Join(got, " ") != c.fails {
			t.Errorf("%+v: %v failed, want %s", c.fault, got, c.fails)
		}
		closed(t, dev, host, d)
	}
	d := open(t, sim.Config{Fault: sim.Fault{Call: sim.Alloc, N: 1}})
	_, err := d.Alloc(1, runtime.DeviceMemory)
	wants(t, err, runtime.ErrMemory, "call 1", "alloc")
	closed(t, d)
}

// TestVirtualTime wants the times that latency and bandwidth make, without waiting
// for them.
func TestVirtualTime(t *testing.T) {
	d := open(t, sim.Config{Virtual: true, Transfer: sim.Cost{Latency: time.Hour, Bandwidth: 2}})
	dev, host := alloc(t, d, 7200, runtime.DeviceMemory), alloc(t, d, 7200, runtime.PinnedHost)
	first := transfer(t, d, dev, host)
	second := transfer(t, d, host, dev)
	if err := second.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	a, b, _ := first.Times()
	x, y, _ := second.Times()
	if b.Sub(a) != 2*time.Hour || !x.Equal(b) || y.Sub(x) != 2*time.Hour {
		t.Errorf("times %v to %v, then %v to %v", a, b, x, y)
	}
	closed(t, dev, host, d)
}

// TestProfile wants limits and abilities of a Config in its device's profile alone.
func TestProfile(t *testing.T) {
	b := &sim.Backend{}
	b.Config[1] = sim.Config{Memory: 1 << 20, MaxAlloc: 1 << 10, Align: 512, DTypes: []string{"float32"}, Operators: []string{"Add"}}
	p, err := b.Profile(1)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "sim:1" || p.Memory != 1<<20 || p.MaxAlloc != 1<<10 || p.Align != 512 || len(p.DTypes) != 1 || len(p.Operators) != 1 {
		t.Errorf("%+v", p)
	}
	if p, err = b.Profile(0); err != nil || p.Memory != 8<<30 || p.Align != 256 || p.DTypes != nil || p.Operators != nil {
		t.Errorf("%+v, %v", p, err)
	}
	for _, n := range []int{-1, sim.Devices} {
		_, err := b.Profile(n)
		wants(t, err, runtime.ErrUnavailable, "sim:0 to sim:3")
	}
}
