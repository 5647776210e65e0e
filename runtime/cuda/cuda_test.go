//go:build linux && !nogpu

package cuda_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/gpu"
)

func open(t *testing.T) (runtime.Device, error) {
	t.Helper()
	b := &cuda.Backend{}
	p, err := b.Profile(0)
	if err != nil {
		return nil, err
	}
	return b.Open(p)
}

func whole(b runtime.Buffer) runtime.View { return runtime.View{Buffer: b, Size: b.Size()} }

// round brings bytes to the device and back.
func round(d runtime.Device, size int) (err error) {
	var all []runtime.Buffer
	defer func() {
		for _, b := range all {
			err = errors.Join(err, b.Close())
		}
	}()
	alloc := func(kind runtime.MemoryKind) (runtime.Buffer, error) {
		b, err := d.Alloc(int64(size), kind)
		if err == nil {
			all = append(all, b)
		}
		return b, err
	}
	up, err := alloc(runtime.PinnedHost)
	if err != nil {
		return err
	}
	down, err := alloc(runtime.PinnedHost)
	if err != nil {
		return err
	}
	dev, err := alloc(runtime.DeviceMemory)
	if err != nil {
		return err
	}
	from, err := up.(runtime.HostBuffer).Bytes()
	if err != nil {
		return err
	}
	for i := range from {
		from[i] = byte(i*131 + i>>9)
	}
	sent, err := d.Transfer(whole(dev), whole(up), nil)
	if err != nil {
		return err
	}
	came, err := d.Transfer(whole(down), whole(dev), []runtime.Event{sent})
	if err != nil {
		return errors.Join(err, sent.Wait(context.Background()))
	}
	if err := errors.Join(came.Wait(context.Background()), sent.Wait(context.Background())); err != nil {
		return err
	}
	to, err := down.(runtime.HostBuffer).Bytes()
	if err != nil {
		return err
	}
	if !bytes.Equal(from, to) {
		return errors.New("other bytes came back")
	}
	a, b, ok := sent.Times()
	x, y, ok2 := came.Times()
	if !ok || !ok2 { // the driver did not tell
		return nil
	}
	if a.IsZero() || b.Before(a) || x.Before(a) || y.Before(x) {
		return fmt.Errorf("times %v to %v, then %v to %v", a, b, x, y)
	}
	return nil
}

// TestTransfers wants bytes to come back, and nothing to be left behind.
func TestTransfers(t *testing.T) {
	dev := standin.Use(t, "")
	d, err := open(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 255, 4096, 100_000, 3 << 20} {
		if err := round(d, size); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if b := dev.Books(); b.Bytes != 0 || b.Objects != 0 {
		t.Errorf("left behind: %+v", b)
	}
}

// TestUnavailable wants to be told what was looked for and where.
func TestUnavailable(t *testing.T) {
	standin.Use(t, "devices=0")
	_, err := open(t)
	wants(t, err, runtime.ErrUnavailable, "libcuda.so.1", "CUDA_ERROR_NO_DEVICE")
	_, err = (&cuda.Backend{}).Open(partition.Profile{Name: "cuda:x"})
	wants(t, err, runtime.ErrUnavailable, "cuda:x")
	standin.Use(t, "")
	_, err = (&cuda.Backend{}).Profile(1)
	wants(t, err, runtime.ErrUnavailable, "1 devices", "cuda:1")
	dir := t.TempDir()
	t.Setenv(standin.Variable, dir)
	_, err = open(t)
	wants(t, err, runtime.ErrUnavailable, "libcuda.so.1", dir)
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

// TestFaults makes every call of opening, moving bytes and closing fail once: each is
// reported as what it is, and another device opens afterwards.
func TestFaults(t *testing.T) {
	dev := standin.Use(t, "")
	run := func() error {
		d, err := open(t)
		if err != nil {
			return err
		}
		err = round(d, 100_000)
		return errors.Join(err, d.Close())
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	calls := dev.Calls("")
	if calls < 30 {
		t.Fatalf("%d calls", calls)
	}
	for _, status := range []struct {
		number int
		kinds  []error
	}{
		{2, []error{runtime.ErrMemory, runtime.ErrUnavailable}},
		{719, []error{runtime.ErrExecution, runtime.ErrUnavailable}}, // the context is lost
	} {
		for n := 1; n <= calls; n++ {
			dev.Reset(fmt.Sprintf("fault=any:%d:%d", n, status.number))
			err := run()
			if err == nil && status.number == 719 || err != nil && !errors.Is(err, status.kinds[0]) && !errors.Is(err, status.kinds[1]) {
				t.Errorf("status %d at call %d: %v", status.number, n, err)
			}
		}
	}
	dev.Reset("")
	if err := run(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAllocationFails wants both numbers in the message.
func TestAllocationFails(t *testing.T) {
	standin.Use(t, "memory=10485760")
	d, err := open(t)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Alloc(20<<20, runtime.DeviceMemory)
	wants(t, err, runtime.ErrMemory, "20971520 bytes", "10485760", "cuda:0")
	if err := round(d, 1000); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestFresh wants PTX of the kernels' source as it is.
func TestFresh(t *testing.T) {
	for _, name := range gpu.Modules() {
		m, err := gpu.ModuleOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cuda.PTX(m); err != nil {
			t.Error(err)
		}
	}
}
