package qwen25vl_test

import (
	"context"
	"fmt"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
)

// A decode step of the small model, of so many sequences behind 128 tokens each.
func BenchmarkStep(b *testing.B) {
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table, Batched: true}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}}, Session: models.SessionOptions{Capacity: 512, Images: 1, Frames: 1, Slots: 16}}
	src, err := mnnconv.Load("../tinyvl", o)
	if err != nil {
		b.Fatal(err)
	}
	p, err := mnnconv.Open(src, o)
	if err != nil {
		b.Fatal(err)
	}
	sessions, err := p.Slots(512)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		for _, s := range sessions {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		}
	}()
	for _, rows := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			step := qwen25vl.Stepper(sessions[0], rows, 128)
			for b.Loop() {
				if err := step(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
