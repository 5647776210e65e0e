package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnnconv"
	"mnnconv/cmd/mnnconv/internal/serve"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
)

// BenchmarkServe is answers to 64 clients that ask at the same time, about texts alone,
// with eight slots and one: of a few questions that come again and again, and of
// questions that nobody asked before.
func BenchmarkServe(b *testing.B) {
	for _, fresh := range []bool{false, true} {
		for _, slots := range []int{8, 1} {
			b.Run(fmt.Sprintf("fresh=%t/slots=%d", fresh, slots), func(b *testing.B) { benchmarkServe(b, slots, fresh) })
		}
	}
}

func benchmarkServe(b *testing.B, slots int, fresh bool) {
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table, Batched: slots > 1}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}}, Session: models.SessionOptions{Capacity: 512, Images: 1, Frames: 1, Slots: slots, Lanes: 2}}
	src, err := mnnconv.Load(loadModel, o)
	if err != nil {
		b.Fatal(err)
	}
	p, err := mnnconv.Open(src, o)
	if err != nil {
		b.Fatal(errors.Join(err, src.Close()))
	}
	sessions, err := p.Slots(512)
	if err != nil {
		b.Fatal(errors.Join(err, p.Close(), src.Close()))
	}
	c := serve.Config{Model: "small", Started: time.Now(), Settings: models.Settings{Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}}, Limits: serve.DefaultLimits(), Log: func(text string) { b.Error(text) }}
	h := httptest.NewServer(serve.New(c, sessions).Handler())
	s := &server{h.URL}
	defer func() {
		h.Close()
		for _, x := range sessions {
			err = errors.Join(err, x.Close())
		}
		if err := errors.Join(err, p.Close(), src.Close()); err != nil {
			b.Error(err)
		}
	}()
	var asked, tokens atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for i := asked.Add(1); i <= int64(b.N); i = asked.Add(1) {
				row := int(i) % 12
				if fresh {
					row = int(i)
				}
				text := "Describe the image."
				for range i % 5 {
					text = fmt.Sprintf("There is a red cross in row %d. ", row) + text
				}
				_, n, err := s.ask(context.Background(), &query{text: text}, false)
				if err != nil {
					b.Error(err)
					return
				}
				tokens.Add(int64(n))
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(tokens.Load())/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(tokens.Load()), "µs/token")
}
