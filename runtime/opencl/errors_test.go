package opencl_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/gpu"
	"mnnconv/runtime/opencl"
	"mnnconv/schemas/op"
)

// wants fails unless err is of a kind and says all the words.
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

// double runs y = x·w + x on a backend's device and on the cpu after it: whatever becomes
// of the device, the cpu must answer.
func double(t *testing.T, b *opencl.Backend) error {
	t.Helper()
	table := op.All()
	hostTarget, host := open(t, &cpu.Backend{Table: table, Threads: 1})
	p, err := b.Profile(0)
	if err == nil {
		var d runtime.Device
		if d, err = b.Open(p); err == nil {
			err = run(t, "opencl:0", []partition.Target{hostTarget, {Profile: p, Lowerer: b}}, map[string]runtime.Device{"cpu": host, "opencl:0": d})
			if closed := d.Close(); closed != nil {
				t.Errorf("closing the device after %v: %v", err, closed)
			}
		}
	}
	if err := run(t, "cpu", []partition.Target{hostTarget}, map[string]runtime.Device{"cpu": host}); err != nil {
		t.Errorf("the cpu afterwards: %v", err)
	}
	return err
}

func run(t *testing.T, place string, targets []partition.Target, devices map[string]runtime.Device) (err error) {
	t.Helper()
	g := graph.New("double")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "n", 2))
	m := g.NewNode("", "MatMul", 24, []*graph.Value{x, g.NewConst("w", graph.Floats([]float32{1, 0, 0, 1}, 2, 2))}, "m")
	a := g.NewNode("", "Add", 24, []*graph.Value{m.Outputs[0], x}, "y")
	g.Append(m, a)
	g.Outputs = []*graph.Value{a.Outputs[0]}
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	rules, err := partition.ParseRules(place)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := partition.Build("double", g, rules, targets)
	if err != nil {
		t.Fatal(err)
	}
	e, err := runtime.NewExecutor(plan, devices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer func() { err = errors.Join(err, s.Close()) }()
	out, err := s.Run(t.Context(), []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 2)})
	if err != nil {
		return err
	}
	if got, _ := out[0].Float32s(); !slices.Equal(got, []float32{2, 4, 6, 8}) {
		return fmt.Errorf("%s: %v", place, got)
	}
	return nil
}

// faulty is a driver whose n-th call of a kind fails, and that builds what it is told.
type faulty struct {
	gpu.Driver
	call  string
	n     int
	spoil string // appended to every source
	lost  error  // what a launch says
	hangs bool   // what is queued after a launch never ends
	after int    // calls after the device was lost
}

func (f *faulty) fault(call string, kind error) error {
	if f.call != call {
		return nil
	}
	if f.n--; f.n == 0 {
		return fmt.Errorf("%w: simulated: %s", kind, call)
	}
	return nil
}

func (f *faulty) Alloc(size int64) (gpu.Memory, error) {
	if err := f.fault("alloc", runtime.ErrMemory); err != nil {
		return nil, err
	}
	return f.Driver.Alloc(size)
}

func (f *faulty) Pin(size int64) (gpu.Pinned, error) {
	if err := f.fault("pin", runtime.ErrMemory); err != nil {
		return nil, err
	}
	return f.Driver.Pin(size)
}

func (f *faulty) Mark() (gpu.Mark, error) {
	if err := f.fault("mark", runtime.ErrExecution); err != nil {
		return nil, err
	}
	f.after++
	m, err := f.Driver.Mark()
	if err == nil && f.hangs && f.n < 0 {
		return never{m}, nil
	}
	return m, err
}

// never is a mark that does not come.
type never struct{ gpu.Mark }

func (never) Done() (bool, error) { return false, nil }
func (never) Wait() error         { select {} }

// launching is a sequence that loses its device.
type launching struct {
	gpu.Sequence
	f *faulty
}

func (l launching) Submit() error {
	l.f.n, l.f.after = -1, 0
	return l.f.lost
}

func (l launching) Close() error { l.f.after++; return l.Sequence.Close() }

func (f *faulty) Close() error { f.after++; return f.Driver.Close() }

func (f *faulty) Upload(dst gpu.Memory, at int64, src gpu.Pinned, from, size int64) error {
	if err := f.fault("upload", runtime.ErrExecution); err != nil {
		return err
	}
	return f.Driver.Upload(dst, at, src, from, size)
}

func (f *faulty) Record(c []gpu.Command) (gpu.Sequence, error) {
	if err := f.fault("record", runtime.ErrExecution); err != nil {
		return nil, err
	}
	s, err := f.Driver.Record(c)
	if f.lost != nil || f.hangs {
		return launching{s, f}, err
	}
	return s, err
}

func (f *faulty) Load(m gpu.Module) error {
	m.Source += f.spoil
	return f.Driver.Load(m)
}

// TestFaults makes the calls to the driver fail, one after the other, until none is left
// to fail.
func TestFaults(t *testing.T) {
	for call, kind := range map[string]error{"alloc": runtime.ErrMemory, "pin": runtime.ErrMemory, "mark": runtime.ErrExecution, "upload": runtime.ErrExecution, "record": runtime.ErrExecution} {
		for n := 1; ; n++ {
			f := &faulty{call: call, n: n}
			err := double(t, &opencl.Backend{Wrap: func(d gpu.Driver) gpu.Driver { f.Driver = d; return f }})
			if f.n > 0 { // there is no such call
				if err != nil || n == 1 {
					t.Errorf("%s: %v after %d calls", call, err, n-1)
				}
				break
			}
			wants(t, err, kind, "simulated: "+call)
		}
	}
}

// TestLost wants a device that is lost, by its driver's word or because it never ends, to
// fail what runs and not to be called again.
func TestLost(t *testing.T) {
	for _, f := range []*faulty{{lost: fmt.Errorf("%w: simulated", runtime.ErrLost)}, {hangs: true}} {
		err := double(t, &opencl.Backend{Timeout: 200 * time.Millisecond, Wrap: func(d gpu.Driver) gpu.Driver { f.Driver = d; return f }})
		if f.hangs {
			wants(t, err, runtime.ErrLost, "partition 0 on opencl:0", "opencl:0 has not ended what was queued after 200ms")
			f.after-- // the mark that never comes
		} else {
			wants(t, err, runtime.ErrLost, "partition 0 on opencl:0", "simulated")
		}
		if f.after != 0 {
			t.Errorf("hangs %v: %d calls after the device was lost", f.hangs, f.after)
		}
	}
}

// TestBuildFails wants a module that does not build to be an error with its log.
func TestBuildFails(t *testing.T) {
	err := double(t, &opencl.Backend{Cache: t.TempDir(), Wrap: func(d gpu.Driver) gpu.Driver { return &faulty{Driver: d, spoil: "\nthis is no kernel;\n"} }})
	wants(t, err, runtime.ErrExecution, `weight "w"`, "kernels move", "do not build", "its log:", "unknown type name")
}

// TestAbsent wants to be told what was looked for.
func TestAbsent(t *testing.T) {
	err := double(t, &opencl.Backend{Libraries: []string{"libnone.so.1", "libnothing.so"}})
	wants(t, err, runtime.ErrUnavailable, "no OpenCL", "libnone.so.1", "libnothing.so")
	err = double(t, &opencl.Backend{Libraries: []string{"libm.so.6"}})
	wants(t, err, runtime.ErrUnavailable, "libm.so.6 is no OpenCL driver")
	_, err = (&opencl.Backend{}).Profile(63)
	wants(t, err, runtime.ErrUnavailable, "not opencl:63")
}

// TestVendorLibrary reaches a vendor's library without a loader.
func TestVendorLibrary(t *testing.T) {
	icd, err := os.ReadFile("/etc/OpenCL/vendors/pocl.icd")
	if err != nil {
		t.Fatal(err)
	}
	if err := double(t, &opencl.Backend{Libraries: []string{strings.TrimSpace(string(icd))}}); err != nil {
		t.Error(err)
	}
}

// TestLoaderWithoutPlatform runs in a process of its own, since a loader looks for
// platforms once.
func TestLoaderWithoutPlatform(t *testing.T) {
	if os.Getenv("OCL_ICD_VENDORS") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestLoaderWithoutPlatform$")
		cmd.Env = append(os.Environ(), "OCL_ICD_VENDORS="+t.TempDir()+"/")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	err := double(t, &opencl.Backend{Libraries: []string{"libOpenCL.so.1"}})
	wants(t, err, runtime.ErrUnavailable, "libOpenCL.so.1 has no platform", "OCL_ICD_VENDORS")
}

// TestCache wants kernels to be kept, and what is damaged to be made anew.
func TestCache(t *testing.T) {
	folder := t.TempDir()
	kept := func() map[string][]byte {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]byte{}
		for _, f := range files {
			if out[f], err = os.ReadFile(f); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	if err := double(t, &opencl.Backend{Cache: folder}); err != nil {
		t.Fatal(err)
	}
	good := kept()
	if len(good) == 0 {
		t.Fatal("nothing was kept")
	}
	for what, damage := range map[string]func([]byte) []byte{
		"cut short":             func(b []byte) []byte { return b[:len(b)/2] },
		"another byte":          func(b []byte) []byte { b = slices.Clone(b); b[len(b)-1] ^= 1; return b },
		"nothing":               func([]byte) []byte { return nil },
		"no binary, whole hash": func([]byte) []byte { h := sha256.Sum256([]byte("garbage")); return append(h[:], "garbage"...) },
	} {
		for f, b := range good {
			if err := os.WriteFile(f, damage(b), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := double(t, &opencl.Backend{Cache: folder}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for f, b := range kept() {
			if h := sha256.Sum256(b[sha256.Size:]); string(h[:]) != string(b[:sha256.Size]) || len(b) < 100 {
				t.Errorf("%s: %s was not made anew", what, f)
			}
		}
	}
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := double(t, &opencl.Backend{Cache: filepath.Join(folder, "none")}); err != nil {
		t.Errorf("a folder that cannot be written: %v", err)
	}
}
