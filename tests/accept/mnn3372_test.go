//go:build accept

package accept

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// TestMNN3372 puts the configuration of alibaba/MNN#3372 beside MNN's own export:
// its wishes place the model on an H100 that is not here, contracts hold, and the
// same cut on simulated devices answers as the cpu does.
func TestMNN3372(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(shared("tinyvl/exports/mnn-tied"))); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("../regress/mnn3372/config.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	h100, _ := partition.Shipped("h100")
	var notes []string
	o := mnn3372Options("")
	o.Devices, o.Note = h100, func(text string) { notes = append(notes, text) }
	s, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plans, err := mnnconv.Plan(s, o)
	if err != nil {
		t.Fatal(err)
	}
	set, err := mnnconv.Contracts(s, plans, 0)
	crossed := false
	for _, p := range plans {
		for _, n := range p.Copies() {
			crossed = crossed || n.Inputs[0].Name == "image_rows" && n.Str("from", "") == "cuda:0"
		}
	}
	tests.Row(t, err == nil && crossed && len(notes) == 2, "MNN#3372: MNN's own backend_type on an H100 by its profile", "no violation, image rows copied, both wishes told",
		"%d contracts, violations: %v, copied: %v, told: %s", len(set.Contracts), err, crossed, strings.Join(notes, "; "))

	want := mnn3372Answers(t, dir, "cpu", nil)
	var simulated []partition.Profile
	for _, p := range h100 {
		p.Name = strings.NewReplacer("cuda:0", "sim:0", "opencl:0", "sim:1").Replace(p.Name)
		simulated = append(simulated, p)
	}
	got := mnn3372Answers(t, dir, "vision=sim:0,llm=sim:1", simulated)
	same := 0
	for i := range want {
		if got[i] == want[i] {
			same++
		}
	}
	tests.Row(t, same == len(want), "MNN#3372: the same cut on simulated devices", "the cpu's answers", "%d of %d", same, len(want))
}

func mnn3372Options(place string) mnnconv.Options {
	table := op.All()
	return mnnconv.Options{Load: models.Options{Table: table, MinPixels: 7056, MaxPixels: 50176}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}}, Place: place}
}

// mnn3372Answers asks the reference questions about pictures.
func mnn3372Answers(t *testing.T, dir, place string, devices []partition.Profile) []string {
	t.Helper()
	o := mnn3372Options(place)
	o.Devices = devices
	s, err := mnnconv.Load(dir, o)
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
	var out []string
	for _, c := range tests.Conversations(t) {
		if c.Video {
			continue
		}
		a, err := chat.Ask(context.Background(), c.Asking(t), greedy(64))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		out = append(out, a.Text)
	}
	return out
}
