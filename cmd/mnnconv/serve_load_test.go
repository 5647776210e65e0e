package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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

// load is what a number of clients got of a server.
type load struct {
	statuses      sync.Map // status → *atomic.Int64
	wrong, tokens atomic.Int64
	gone, answers atomic.Int64
	early, late   float64 // resident memory in MiB after the first part, and at the end
	perSecond     float64 // tokens
}

// served starts a server of the small model with some slots.
func served(t *testing.T, slots int) (url string, alone models.Session) {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table, Batched: slots > 1}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}}, Session: models.SessionOptions{Capacity: 512, Images: 1, Frames: 1, Slots: slots}}
	src, err := mnnconv.Load("../../models/tinyvl", o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := mnnconv.Open(src, o)
	if err != nil {
		t.Fatal(errors.Join(err, src.Close()))
	}
	sessions, err := p.Slots(512)
	if err != nil {
		t.Fatal(err)
	}
	if alone, err = p.Chat(512); err != nil {
		t.Fatal(err)
	}
	s := serve.New(serve.Config{Model: "tiny", Started: time.Now(), Limits: serve.DefaultLimits(), Log: func(text string) { t.Error(text) },
		Settings: models.Settings{Reuse: true, Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}}}, sessions)
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		for _, s := range append(sessions, alone) {
			err = errors.Join(err, s.Close())
		}
		if err := errors.Join(err, p.Close(), src.Close()); err != nil {
			t.Error(err)
		}
	})
	return h.URL, alone
}

// drive has clients ask a server for a while. Some go away before their answer.
func drive(t *testing.T, url string, clients int, d time.Duration, questions []string, want map[string]string, most int) *load {
	l := &load{}
	began := time.Now()
	end := began.Add(d)
	memory := make(chan float64, 1)
	time.AfterFunc(min(d/4, time.Minute), func() { memory <- resident() })
	var wg sync.WaitGroup
	for c := range clients {
		r := rand.New(rand.NewPCG(uint64(c), 9))
		wg.Go(func() {
			for time.Now().Before(end) {
				q := questions[r.IntN(len(questions))]
				ctx, cancel := context.WithCancel(context.Background())
				leaves := r.IntN(20) == 0
				if leaves {
					time.AfterFunc(time.Duration(r.IntN(30))*time.Millisecond, cancel)
				}
				status, text, tokens, err := request(ctx, url, q, most)
				cancel()
				switch {
				case err != nil && leaves:
					l.gone.Add(1)
					continue
				case err != nil:
					t.Error(err)
					return
				}
				n, _ := l.statuses.LoadOrStore(status, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
				if status == http.StatusOK {
					l.answers.Add(1)
					l.tokens.Add(int64(tokens))
					if text != want[q] {
						if l.wrong.Add(1) == 1 {
							t.Errorf("%q: %q, alone %q", q, text, want[q])
						}
					}
				}
			}
		})
	}
	wg.Wait()
	l.perSecond = float64(l.tokens.Load()) / time.Since(began).Seconds()
	l.early, l.late = <-memory, resident()
	return l
}

// request asks one question.
func request(ctx context.Context, url, question string, most int) (status int, text string, tokens int, err error) {
	body, err := json.Marshal(map[string]any{"model": "tiny", "max_tokens": most, "messages": []any{map[string]any{"role": "user", "content": question}}})
	if err != nil {
		return 0, "", 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return 0, "", 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", 0, err
	}
	defer a.Body.Close()
	var out struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			CompletionTokens int `json:"completion_tokens"`
		}
	}
	if err := json.NewDecoder(a.Body).Decode(&out); err != nil || len(out.Choices) == 0 {
		return a.StatusCode, "", 0, err
	}
	return a.StatusCode, out.Choices[0].Message.Content, out.Usage.CompletionTokens, nil
}

// resident is the memory of this process in MiB.
func resident() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages float64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}

// TestServeLoad has 64 clients ask at the same time, for MNNCONV_SERVE_LOAD (4s): every
// answer is the one that is given alone. make serve-check runs it longer, and shows
// how eight slots compare with one.
func TestServeLoad(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("MNNCONV_SERVE_LOAD"))
	if err != nil {
		d = 4 * time.Second
	}
	const most = 48
	var questions []string
	for i := range 12 {
		questions = append(questions, strings.Repeat(fmt.Sprintf("There is a red cross in row %d. ", i), i%5)+"Describe the image.")
	}
	var rates []float64
	for _, slots := range []int{8, 1} {
		url, alone := served(t, slots)
		want := map[string]string{}
		for _, q := range questions {
			a, err := alone.Ask(context.Background(), models.Asking(q), models.Settings{Most: most, Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}})
			if err != nil {
				t.Fatal(err)
			}
			want[q] = a.Text
		}
		part := d
		if slots == 1 {
			part = min(d, 30*time.Second)
		}
		l := drive(t, url, 64, part, questions, want, most)
		counts := map[any]int64{}
		l.statuses.Range(func(k, v any) bool { counts[k] = v.(*atomic.Int64).Load(); return true })
		rates = append(rates, l.perSecond)
		t.Logf("%d slots, 64 clients, %v: %d answers, %d wrong, %d clients left, statuses %v, %.0f tokens/s, resident %.1f then %.1f MiB",
			slots, part, l.answers.Load(), l.wrong.Load(), l.gone.Load(), counts, l.perSecond, l.early, l.late)
		for status := range counts {
			if status != http.StatusOK {
				t.Errorf("status %v", status)
			}
		}
		if l.wrong.Load() > 0 || l.answers.Load() == 0 {
			t.Errorf("%d of %d answers are not those that are given alone", l.wrong.Load(), l.answers.Load())
		}
	}
	t.Logf("eight slots: %.2f times one slot's tokens", rates[0]/rates[1])
}
