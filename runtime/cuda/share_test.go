//go:build linux && !nogpu

package cuda_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/schemas/op"
)

// thereAndBack is y = (x + 1)·x - x, with a node a device.
func thereAndBack(t *testing.T) *graph.Graph {
	t.Helper()
	g := graph.New("there and back")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "n"))
	one := g.NewConst("one", graph.Floats([]float32{1}))
	add := g.NewNode("", "Add", 24, []*graph.Value{x, one}, "a")
	mul := g.NewNode("", "Mul", 24, []*graph.Value{add.Outputs[0], x}, "m")
	sub := g.NewNode("", "Sub", 24, []*graph.Value{mul.Outputs[0], add.Outputs[0]}, "y")
	add.Path, mul.Path, sub.Path = "add", "mul", "sub"
	g.Append(add, mul, sub)
	g.Outputs = []*graph.Value{sub.Outputs[0]}
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestWays copies between two devices directly, and through the host where that is not
// planned or does not work, under every schedule: the bits are the same, the session says
// which way it took and why, and nothing is left behind.
func TestWays(t *testing.T) {
	if standin.Real() { // with its one device
		return
	}
	all := []string{"serial", "overlap", "random:3"}
	for i, c := range []struct {
		settings       string
		planned, taken partition.Route
		why            string
	}{
		{"devices=2", partition.Staged, partition.Staged, ""},
		{"devices=2 peers=1", partition.Direct, partition.Direct, ""},
		{"devices=2 peers=1 import=wrong", partition.Direct, partition.Staged, "others came"},
		{"devices=2 peers=1 fault=cuMemImportFromShareableHandle:1+:801", partition.Direct, partition.Staged, "cuMemImportFromShareableHandle"},
		{"devices=2 peers=1 fault=cuMemExportToShareableHandle:1:801", partition.Direct, partition.Direct, ""}, // the other way round
		{"devices=2 peers=1 fault=cuMemSetAccess:3+:1", partition.Direct, partition.Staged, "cuMemSetAccess"},
	} {
		schedules := all
		if i != 1 {
			schedules = all[i%3 : i%3+1]
		}
		size := 100_001 // elements
		if i == 0 {
			size = 3_200_001 // four pieces, through a ring of three
		}
		x, want := make([]float32, size), make([]float32, size)
		for i := range x {
			x[i] = float32(i%4099) / 64
			a := x[i] + 1
			m := a * x[i]
			want[i] = m - a
		}
		for _, schedule := range schedules {
			dev := standin.Use(t, c.settings)
			ways, got, err := runWays(t, schedule, x)
			if err != nil {
				t.Fatalf("%s, %s: %v", c.settings, schedule, err)
			}
			if len(ways) != 1 || ways[0].Planned != c.planned || ways[0].Taken != c.taken || (ways[0].Why == nil) != (c.why == "") ||
				c.why != "" && !strings.Contains(ways[0].Why.Error(), c.why) {
				t.Errorf("%s: %+v", c.settings, ways)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: other numbers", c.settings, schedule)
			}
			if b := dev.Books(); b.Bytes != 0 || b.Objects != 0 {
				t.Errorf("%s, %s: left behind: %+v", c.settings, schedule, b)
			}
		}
	}
}

// runWays runs the graph on two devices, twice.
func runWays(t *testing.T, schedule string, x []float32) (ways []runtime.Way, out []float32, err error) {
	t.Helper()
	backend := &cuda.Backend{}
	host := &cpu.Backend{Table: op.All(), Threads: 1}
	devices := map[string]runtime.Device{}
	var targets []partition.Target
	defer func() {
		for _, d := range devices {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, b := range []struct {
		runtime.Backend
		ordinal int
	}{{host, 0}, {backend, 0}, {backend, 1}} {
		p, err := b.Profile(b.ordinal)
		if err != nil {
			return nil, nil, err
		}
		if devices[p.Name], err = b.Open(p); err != nil {
			return nil, nil, err
		}
		targets = append(targets, partition.Target{Profile: p, Lowerer: b.Backend})
	}
	rules, err := partition.ParseRules("add=cuda:0,mul=cuda:1,sub=cuda:0")
	if err != nil {
		return nil, nil, err
	}
	p, err := partition.Build("run", thereAndBack(t), rules, targets)
	if err != nil {
		return nil, nil, err
	}
	e, err := runtime.NewExecutor(p, devices)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	arenas, err := runtime.NewArenas(map[string]graph.Env{"run": {"n": int64(len(x))}}, e)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, arenas.Close()) }()
	order, err := runtime.ParseSchedule(schedule)
	if err != nil {
		return nil, nil, err
	}
	s := e.NewSession(nil, arenas, order)
	defer func() { err = errors.Join(err, s.Close()) }()
	for range 2 {
		outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats(x)})
		if err != nil {
			return nil, nil, err
		}
		out = slices.Clone(graph.View[float32](outs[0]))
	}
	return arenas.Ways(), out, nil
}
