package tests

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// TestBlame spoils one number behind one node, in the middle of partitions, and wants
// --check values to name that node, its partition and the boundary at which it was
// seen. Without a fault there is no alarm.
func TestBlame(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name, place string
		phase, path string
		value       float32
		want        []string
	}{
		{"sound", "vision=sim:0,llm.layers.0-1=sim:1", "", "", 0, nil},
		{"sound on the cpu", "cpu", "", "", 0, nil},
		{"vision on a device", "vision=sim:0", "encode", "vision.blocks.1.mlp.up", nan,
			[]string{`vision.blocks.1.mlp.up (test.Spoil, partition 0 on sim:0)`, `of which 1 of`, `are NaN`, `boundary encode: image_rows, sim:0 → cpu`}},
		{"decoder on the cpu", "cpu", "extend", "llm.layers.2.mlp.gate", nan,
			[]string{`llm.layers.2.mlp.gate (test.Spoil, partition 0 on cpu)`, `boundary extend: logits, cpu → caller`}},
		{"between two devices", "llm.layers.0-1=sim:0,llm=sim:1", "extend", "llm.layers.1.mlp.gate", nan,
			[]string{`llm.layers.1.mlp.gate (test.Spoil, partition`, `on sim:0)`, `sim:0 → sim:1`}},
		{"infinity becomes NaN", "llm=sim:1", "extend", "llm.layers.0.attn.residual", inf,
			[]string{`are NaN`, `; before it, llm.layers.0.attn.residual (test.Spoil`, `infinite`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := askSpoiled(t, c.place, c.phase, c.path, c.value)
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, runtime.ErrValues) || !errors.Is(err, partition.ErrContract) {
				t.Fatalf("got %v, want %v", err, runtime.ErrValues)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is missing in %q", w, err)
				}
			}
		})
	}
}

// askSpoiled asks the small model a question about a picture, two tokens long, where
// the second number of what the node of a path makes is another one.
func askSpoiled(t *testing.T, place, phase, path string, value float32) (err error) {
	t.Helper()
	table := op.All()
	table[op.Key{Domain: "test", Name: "Spoil"}] = &op.Op{Domain: "test", Name: "Spoil", Inputs: []string{"x"}, Outputs: []string{"y"},
		Eval: func(c *op.Call) error {
			v, err := c.Arg(0).Float32s()
			if err != nil {
				return err
			}
			v = append([]float32{}, v...)
			v[1] = value
			y, err := c.New(0, c.Arg(0).DType, c.Arg(0).Shape...)
			if err != nil {
				return err
			}
			return y.SetFloat32s(v)
		}}
	o := options(place)
	o.Load.Table, o.Check = table, "values"
	o.Backends = []runtime.Backend{&cpu.Backend{Table: table, Threads: 1}, &sim.Backend{Table: table, Threads: 1}}
	s, err := mnnconv.Load("../models/tinyvl", o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, ph := range s.Phases {
		if ph.Name == phase {
			spoil(t, ph.Graph, path)
		}
	}
	p, err := mnnconv.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if closed := p.Close(); closed != nil {
			t.Error(closed) // nothing that the second run took may be left
		}
	}()
	chat, err := p.Chat(256)
	if err != nil {
		t.Fatal(err)
	}
	defer chat.Close()
	rgb, err := picture.Open("../models/tinyvl/demo/describe.png")
	if err != nil {
		t.Fatal(err)
	}
	_, err = chat.Ask(context.Background(), models.Asking("Describe the image.", models.Media{Frames: []*picture.RGB{rgb}}), models.Settings{Most: 2, Sampling: generate.Defaults()})
	return err
}

// spoil puts a node behind the last node of a path, for all its readers.
func spoil(t *testing.T, g *graph.Graph, path string) {
	t.Helper()
	at := -1
	for i, n := range g.Nodes {
		if n.Path == path && n.Outputs[0].Type.DType.IsFloat() {
			at = i
		}
	}
	if at < 0 {
		t.Fatalf("no node %q", path)
	}
	n := g.Nodes[at]
	v := n.Outputs[0]
	f := g.NewNode("test", "Spoil", 1, []*graph.Value{v}, v.Name+".spoilt")
	f.Path, f.Outputs[0].Type = n.Path, v.Type
	g.Replace(map[*graph.Value]*graph.Value{v: f.Outputs[0]})
	f.Inputs[0] = v
	g.Nodes = append(g.Nodes[:at+1], append([]*graph.Node{f}, g.Nodes[at+1:]...)...)
}
