package mnnconv_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// TestReplacedWhileRead replaces a package in the midst of its reading: what is read
// in the end is all of the new one, or, where that goes on, an error.
func TestReplacedWhileRead(t *testing.T) {
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}}}
	in := t.TempDir()
	packages := []string{filepath.Join(in, "model.mnnc"), filepath.Join(in, "other.mnnc")}
	for i, place := range []string{"vision=sim:0", "llm.layers.0=sim:1"} {
		o.Place = place
		s, err := mnnconv.Load("models/tinyvl", o)
		if err != nil {
			t.Fatal(err)
		}
		plans, err := mnnconv.Plan(s, o)
		if err == nil {
			err = mnnconv.Convert(t.Context(), s, plans, packages[i], mnnconv.ConvertOptions{Tool: "mnnconv test", Rules: place})
		}
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	o.Place = ""
	odd := false // how often it was replaced
	for _, times := range []int{0, 1, 3, 1000} {
		left := times
		replace := func() {
			if left--; left < 0 {
				return
			}
			odd = !odd
			aside := filepath.Join(in, "aside")
			if err := errors.Join(os.Rename(packages[0], aside), os.Rename(packages[1], packages[0]), os.Rename(aside, packages[1])); err != nil {
				t.Fatal(err)
			}
		}
		o.Models[0].Open = func(p *pack.Opened, m models.Options) (models.Model, error) {
			replace()
			return qwen25vl.Kind.Open(p, m)
		}
		s, err := mnnconv.Load(packages[0], o)
		if times == 1000 {
			if !errors.Is(err, disk.ErrBusy) {
				t.Errorf("replaced again and again: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("replaced %d times: %v", times, err)
		}
		plans, err := mnnconv.Plan(s, o)
		if err != nil {
			t.Fatalf("replaced %d times: %v", times, err)
		}
		spaces := map[string]bool{}
		for _, p := range plans {
			for _, part := range p.Partitions() {
				spaces[part.Target] = true
			}
		}
		if want := map[bool]string{true: "vision=sim:0", false: "llm.layers.0=sim:1"}[!odd]; s.Package.Rules != want || spaces["sim:0"] == odd {
			t.Errorf("replaced %d times: rules %q, devices %v", times, s.Package.Rules, spaces)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
