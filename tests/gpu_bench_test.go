//go:build linux && !nogpu

package tests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/opencl"
	"mnnconv/runtime/trace"
	"mnnconv/schemas/op"
)

// BenchmarkGPUCopies times copies of 11.2 MB between CUDA and OpenCL by the devices' events:
// directly, where they are one GPU, and through the host; every copy must bring the bits.
func BenchmarkGPUCopies(b *testing.B) {
	for _, way := range [][2]string{{"cuda:0", "opencl:0"}, {"opencl:0", "cuda:0"}} {
		for _, route := range []partition.Route{partition.Direct, partition.Staged} {
			b.Run(fmt.Sprintf("%s from %s to %s", route, way[0], way[1]), func(b *testing.B) {
				c := newCopies(b, way, route, 2_800_000)
				x := c.x
				if _, err := c.session.Run(context.Background(), []*graph.Tensor{x}); err != nil { // pins the ring
					b.Fatal(err)
				}
				_, first, n := c.copied()
				for b.Loop() {
					outs, err := c.session.Run(context.Background(), []*graph.Tensor{x})
					if err != nil {
						b.Fatal(err)
					}
					for i, v := range graph.View[float32](outs[0]) {
						if v != graph.View[float32](x)[i] {
							b.Fatalf("element %d is %v", i, v)
						}
					}
				}
				name, took, count := c.copied()
				each := (took - first).Seconds() / float64(count-n)
				b.ReportMetric(each*1e6, "µs/copy")
				b.ReportMetric(float64(len(x.Data))/each/1e9, "GB/s")
				b.Log(name)
			})
		}
	}
}

// TestGPUStaged copies through the host, in several pieces and in less than one, and wants
// the bits, each time anew.
func TestGPUStaged(t *testing.T) {
	standin.Use(t, "")
	for _, way := range [][2]string{{"cuda:0", "opencl:0"}, {"opencl:0", "cuda:0"}} {
		for _, elements := range []int{3*partition.StageBytes/4 + 1<<18 + 1, 1001} {
			t.Run(fmt.Sprintf("%d from %s to %s", elements, way[0], way[1]), func(t *testing.T) {
				c := newCopies(t, way, partition.Staged, elements)
				x := graph.View[float32](c.x)
				for i := range 3 {
					for k := range x {
						x[k] = float32((k + i) % 65521)
					}
					outs, err := c.session.Run(t.Context(), []*graph.Tensor{c.x})
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(graph.View[float32](outs[0]), x) {
						t.Errorf("run %d brings other numbers", i)
					}
				}
			})
		}
	}
}

// copies is y = -(-x) with one half on each of two devices.
type copies struct {
	x        *graph.Tensor
	session  *runtime.Session
	recorder *trace.Recorder
}

func newCopies(b testing.TB, way [2]string, route partition.Route, elements int) *copies {
	b.Helper()
	table := op.All()
	g := graph.New("copies")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, elements))
	minus := g.NewNode("", "Neg", 24, []*graph.Value{x}, "minus")
	plus := g.NewNode("", "Neg", 24, []*graph.Value{minus.Outputs[0]}, "plus")
	minus.Path, plus.Path = "minus", "plus"
	g.Append(minus, plus)
	g.Outputs = []*graph.Value{plus.Outputs[0]}
	if err := op.NewFacts(table).Graph(g); err != nil {
		b.Fatal(err)
	}
	devices := map[string]runtime.Device{}
	var targets []partition.Target
	for _, backend := range []runtime.Backend{&cpu.Backend{Table: table}, &cuda.Backend{}, &opencl.Backend{}} {
		p, d := openDevice(b, backend)
		if route == partition.Staged {
			p.UUID = "" // of nobody's
		}
		devices[p.Name] = d
		targets = append(targets, partition.Target{Profile: p, Lowerer: backend})
	}
	rules, err := partition.ParseRules("minus=" + way[0] + ",plus=" + way[1])
	if err != nil {
		b.Fatal(err)
	}
	p, err := partition.Build("run", g, rules, targets)
	if err != nil {
		b.Fatal(err)
	}
	c := &copies{x: graph.Floats(make([]float32, elements)), recorder: trace.New(time.Now(), trace.Options{})}
	for i := range elements {
		graph.View[float32](c.x)[i] = float32(i % 65521)
	}
	e, err := runtime.NewExecutorWith(p, devices, runtime.ExecutorOptions{Trace: c.recorder})
	if err != nil {
		b.Fatal(err)
	}
	closes(b, e)
	order, err := runtime.ParseSchedule("serial")
	if err != nil {
		b.Fatal(err)
	}
	c.session = e.NewSession(nil, nil, order)
	closes(b, c.session)
	return c
}

// copied tells what the copies between the devices took so far.
func (c *copies) copied() (name string, took time.Duration, count int) {
	for _, t := range c.recorder.Totals() {
		if t.Track == trace.Copies && strings.HasPrefix(t.Name, "copy minus") {
			return t.Name, t.Time, t.Count
		}
	}
	return "", 0, 0
}

// openDevice opens device 0 of a backend until the end.
func openDevice(b testing.TB, backend runtime.Backend) (partition.Profile, runtime.Device) {
	b.Helper()
	p, err := backend.Profile(0)
	if err != nil {
		b.Fatal(err)
	}
	d, err := backend.Open(p)
	if err != nil {
		b.Fatal(err)
	}
	closes(b, d)
	return p, d
}

// closes closes something at the end.
func closes(b testing.TB, c interface{ Close() error }) {
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
}

// mapped is a file's pages as a session hands weights to a device.
type mapped []byte

func (m mapped) Space() graph.Space     { return graph.Host }
func (m mapped) Size() int64            { return int64(len(m)) }
func (m mapped) Bytes() ([]byte, error) { return m, nil }
func (m mapped) Close() error           { return syscall.Munmap(m) }

// BenchmarkGPUUpload brings a file of 1 GiB to a device: mapped anew each time, as weights
// are, and mapped before.
func BenchmarkGPUUpload(b *testing.B) {
	const size = 1 << 30
	file := filepath.Join(b.TempDir(), "weights")
	piece := make([]byte, 1<<24)
	for i := range piece {
		piece[i] = byte(i * 7)
	}
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	closes(b, f)
	for range size / len(piece) {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	for _, backend := range []runtime.Backend{&cuda.Backend{}, &opencl.Backend{}} {
		for _, anew := range []bool{true, false} {
			name := backend.Name() + " mapped before"
			if anew {
				name = backend.Name() + " mapped anew"
			}
			b.Run(name, func(b *testing.B) {
				_, d := openDevice(b, backend)
				to, err := d.Alloc(size, runtime.DeviceMemory)
				if err != nil {
					b.Fatal(err)
				}
				closes(b, to)
				open := func() mapped {
					m, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
					if err != nil {
						b.Fatal(err)
					}
					return m
				}
				send := func(m mapped) {
					e, err := d.Transfer(runtime.View{Buffer: to, Size: size}, runtime.View{Buffer: m, Size: size}, nil)
					if err == nil {
						err = e.Wait(context.Background())
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				m := open()
				send(m)
				b.SetBytes(size)
				for b.Loop() {
					if anew {
						b.StopTimer()
						if err := m.Close(); err != nil {
							b.Fatal(err)
						}
						m = open()
						b.StartTimer()
					}
					send(m)
				}
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
