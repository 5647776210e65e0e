package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
)

// query is a question of the load, and its answer by a session that answers nothing else.
type query struct {
	text  string
	image string // a data URL; empty: none
	want  string
}

const (
	loadModel  = "../../models/tinyvl"
	loadTokens = 48
	// loadQueue has room for fewer than the clients are, so that some are sent away.
	loadQueue = 48
)

// queries are questions of several lengths, every sixth of them about a picture.
func queries(t *testing.T) []query {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}}, Session: models.SessionOptions{Capacity: 512, Images: 1, Frames: 1}}
	src, err := mnnconv.Load(loadModel, o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := mnnconv.Open(src, o)
	if err != nil {
		t.Fatal(errors.Join(err, src.Close()))
	}
	alone, err := p.Chat(512)
	if err != nil {
		t.Fatal(errors.Join(err, p.Close(), src.Close()))
	}
	defer func() {
		if err := errors.Join(alone.Close(), p.Close(), src.Close()); err != nil {
			t.Error(err)
		}
	}()
	var all []query
	for i := range 12 {
		q := query{text: strings.Repeat(fmt.Sprintf("There is a red cross in row %d. ", i), i%5) + "Describe the image."}
		var shown []models.Media
		if name := []string{"describe.png", "count.png"}[i%2]; i%6 == 5 || i%6 == 0 && i > 0 {
			data, err := os.ReadFile(filepath.Join(loadModel, "demo", name))
			if err != nil {
				t.Fatal(err)
			}
			img, err := picture.Decode(name, data)
			if err != nil {
				t.Fatal(err)
			}
			q.image = "data:image/png;base64," + base64.StdEncoding.EncodeToString(data)
			shown = append(shown, models.Media{Frames: []*picture.RGB{img}})
		}
		a, err := alone.Ask(context.Background(), models.Asking(q.text, shown...), models.Settings{Most: loadTokens, Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}})
		if err != nil {
			t.Fatal(err)
		}
		q.want = a.Text
		all = append(all, q)
	}
	return all
}

// server is the program in a process of its own.
type server struct {
	url string
}

func startServer(t *testing.T, slots int) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Args = []string{"mnnconv", "serve", loadModel, "--listen", "127.0.0.1:0", "--slots", strconv.Itoa(slots), "--queue", strconv.Itoa(loadQueue), "-c", "512"}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // 130
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), " at http://"); ok {
			at, _, _ := strings.Cut(rest, "/")
			go func() {
				for lines.Scan() {
					if ctx.Err() == nil {
						t.Error("the server says:", lines.Text())
					}
				}
			}()
			return &server{"http://" + at}
		}
	}
	t.Fatal("the server did not start")
	return nil
}

// metric is a number of /metrics.
func (s *server) metric(t *testing.T, name string) float64 {
	t.Helper()
	resp, err := http.Get(s.url + "/metrics") //nolint:noctx // it answers
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// load is what a number of clients got of a server.
type load struct {
	wrong, tokens, gone, full, answers, streamed atomic.Int64
	early, late                                  float64 // resident memory of the server in MiB after the first part, and at the end
	perSecond                                    float64 // tokens
}

// drive has clients ask a server for a while. Some want a stream, some go away before
// their answer is whole, and who finds the queue full comes again.
func (s *server) drive(t *testing.T, clients int, d time.Duration, all []query) *load {
	l := &load{}
	began := time.Now()
	end := began.Add(d)
	memory := make(chan float64, 1)
	time.AfterFunc(min(d/4, time.Minute), func() { memory <- s.metric(t, "process_resident_memory_bytes") / (1 << 20) })
	var wg sync.WaitGroup
	for c := range clients {
		r := rand.New(rand.NewPCG(uint64(c), 9))
		wg.Go(func() {
			for time.Now().Before(end) {
				q, stream, leaves := &all[r.IntN(len(all))], r.IntN(3) == 0, r.IntN(20) == 0
				ctx, cancel := context.WithCancel(context.Background())
				if leaves {
					time.AfterFunc(time.Duration(r.IntN(30))*time.Millisecond, cancel)
				}
				text, tokens, err := s.ask(ctx, q, stream)
				cancel()
				switch {
				case err != nil && leaves:
					l.gone.Add(1)
				case errors.Is(err, errQueueFull):
					l.full.Add(1)
					time.Sleep(time.Duration(100+r.IntN(200)) * time.Millisecond)
				case err != nil:
					t.Error(err)
					return
				default:
					l.answers.Add(1)
					l.tokens.Add(int64(tokens))
					if stream {
						l.streamed.Add(1)
					}
					if text != q.want && l.wrong.Add(1) == 1 {
						t.Errorf("%q: %q, alone %q", q.text, text, q.want)
					}
				}
			}
		})
	}
	wg.Wait()
	l.perSecond = float64(l.tokens.Load()) / time.Since(began).Seconds()
	l.early, l.late = <-memory, s.metric(t, "process_resident_memory_bytes")/(1<<20)
	return l
}

var errQueueFull = errors.New("the queue is full")

// ask asks one question. errQueueFull: the server said so, and when to come again.
func (s *server) ask(ctx context.Context, q *query, stream bool) (text string, tokens int, err error) {
	content := []map[string]any{{"type": "text", "text": q.text}}
	if q.image != "" {
		content = append([]map[string]any{{"type": "image_url", "image_url": map[string]any{"url": q.image}}}, content...)
	}
	in := map[string]any{"max_tokens": loadTokens, "temperature": 0, "repetition_penalty": 1, "messages": []any{map[string]any{"role": "user", "content": content}}}
	if stream {
		in["stream"], in["stream_options"] = true, map[string]any{"include_usage": true}
	}
	body, err := json.Marshal(in)
	if err != nil {
		return "", 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer a.Body.Close()
	answer, err := io.ReadAll(a.Body)
	switch {
	case err != nil:
		return "", 0, err
	case a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" && bytes.Contains(answer, []byte("queue is full")):
		return "", 0, errQueueFull
	case a.StatusCode != http.StatusOK:
		return "", 0, fmt.Errorf("status %d: %s", a.StatusCode, answer)
	}
	type piece struct{ Content string }
	var out struct {
		Choices []struct{ Message, Delta piece }
		Usage   struct {
			CompletionTokens int `json:"completion_tokens"`
		}
	}
	if !stream {
		if err := json.Unmarshal(answer, &out); err != nil || len(out.Choices) != 1 {
			return "", 0, fmt.Errorf("%s: %w", answer, err)
		}
		return out.Choices[0].Message.Content, out.Usage.CompletionTokens, nil
	}
	events, whole := bytes.CutSuffix(answer, []byte("data: [DONE]\n\n"))
	if !whole {
		return "", 0, fmt.Errorf("a stream without an end: %s", answer)
	}
	for event := range bytes.SplitSeq(bytes.TrimSpace(events), []byte("\n\n")) {
		out.Choices = nil
		if err := json.Unmarshal(bytes.TrimPrefix(event, []byte("data: ")), &out); err != nil {
			return "", 0, fmt.Errorf("%s: %w", event, err)
		}
		for _, c := range out.Choices {
			text += c.Delta.Content
		}
	}
	return text, out.Usage.CompletionTokens, nil
}

// TestServeLoad has 64 clients ask at the same time, for MNNCONV_SERVE_LOAD (4s): every
// answer is the one that is given alone, who is sent away is told when to come again, who
// goes away frees a slot within a second, and memory does not grow. make serve-check runs
// it longer, and shows how eight slots compare with one.
func TestServeLoad(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("MNNCONV_SERVE_LOAD"))
	if err != nil {
		d = 4 * time.Second
	}
	all := queries(t)
	var rates []float64
	for _, slots := range []int{8, 1} {
		s := startServer(t, slots)
		part := d
		if slots == 1 {
			part = min(d/2, 30*time.Second)
		}
		l := s.drive(t, 64, part, all)
		rates = append(rates, l.perSecond)
		steps := "no common steps"
		if slots > 1 {
			n := s.metric(t, "mnnconv_step_rows_count")
			steps = fmt.Sprintf("%.2f rows a step", s.metric(t, "mnnconv_step_rows_sum")/n)
			if n == 0 {
				t.Error("no steps were counted")
			}
		}
		t.Logf("%d slots, 64 clients, %v: %d answers, %d of them streamed, %d wrong, %d clients left, %d found the queue full, %.0f tokens/s, %s, resident %.1f then %.1f MiB",
			slots, part, l.answers.Load(), l.streamed.Load(), l.wrong.Load(), l.gone.Load(), l.full.Load(), l.perSecond, steps, l.early, l.late)
		if l.answers.Load() == 0 || l.full.Load() == 0 || l.gone.Load() == 0 {
			t.Error("not all that was to be tried happened")
		}
		switch {
		case d >= 2*time.Minute && slots > 1 && l.late > 1.02*l.early:
			t.Errorf("resident memory grew from %.1f to %.1f MiB", l.early, l.late)
		case l.late > l.early+64:
			t.Errorf("resident memory grew from %.1f to %.1f MiB", l.early, l.late)
		}
		for busy, patience := 1.0, time.Now().Add(10*time.Second); busy > 0; busy = s.metric(t, "mnnconv_slots_busy") {
			if time.Now().After(patience) {
				t.Fatal("a slot is busy, and nobody asks")
			}
		}
		if n, soon := s.metric(t, "mnnconv_left_seconds_count"), s.metric(t, `mnnconv_left_seconds_bucket{le="0.512"}`); soon != n {
			t.Errorf("%v clients left while they were answered, and %v of their slots were free within 0.5 s", n, soon)
		}
	}
	t.Logf("eight slots: %.2f times one slot's tokens", rates[0]/rates[1])
}
