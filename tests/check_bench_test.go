package tests

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/runtime/trace"
)

// BenchmarkCheckValues asks about a picture with --check values and without, in
// turns, and reports how much slower the median is with it, in percent.
func BenchmarkCheckValues(b *testing.B) {
	plain, checked := options("cpu"), options("cpu")
	checked.Check = "values"
	compareAsks(b, plain, checked)
}

// BenchmarkTrace asks with --trace --trace-nodes and without.
func BenchmarkTrace(b *testing.B) {
	plain, traced := options("cpu"), options("cpu")
	traced.Trace = trace.New(time.Now(), trace.Options{Slices: true, Nodes: true})
	compareAsks(b, plain, traced)
}

func compareAsks(b *testing.B, plain, other mnnconv.Options) {
	b.Helper()
	asks := []func() time.Duration{asker(b, plain), asker(b, other)}
	var took [2][]time.Duration
	for i := 0; b.Loop(); i++ {
		for k := range asks { // each goes first every other time
			took[k^i&1] = append(took[k^i&1], asks[k^i&1]())
		}
	}
	var medians [2]float64
	for k := range took {
		slices.Sort(took[k])
		medians[k] = took[k][len(took[k])/2].Seconds()
	}
	b.ReportMetric(100*(medians[1]/medians[0]-1), "%slower")
}

// asker opens the small model and returns what asks it about a picture, for sixteen
// tokens.
func asker(b *testing.B, o mnnconv.Options) func() time.Duration {
	b.Helper()
	s, err := mnnconv.Load("../models/tinyvl", o)
	if err != nil {
		b.Fatal(err)
	}
	p, err := mnnconv.Open(s, o)
	if err != nil {
		b.Fatal(err)
	}
	chat, err := p.Chat(256)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(chat.Close(), p.Close(), s.Close()); err != nil {
			b.Error(err)
		}
	})
	rgb, err := picture.Open("../models/tinyvl/demo/describe.png")
	if err != nil {
		b.Fatal(err)
	}
	q := models.Asking("Describe the image.", models.Media{Frames: []*picture.RGB{rgb}})
	return func() time.Duration {
		start := time.Now()
		if _, err := chat.Ask(context.Background(), q, models.Settings{Most: 16, Sampling: generate.Defaults()}); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
}
