package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mnnconv/models"
	"mnnconv/models/chat"
	"mnnconv/models/generate"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
)

// echo is a session that says what it is asked, word by word.
type echo struct {
	busy  atomic.Bool
	hold  chan struct{} // unless nil, each answer waits for it after its first word
	asked atomic.Int64
}

func (e *echo) Memory() []runtime.Need { return nil }
func (e *echo) Close() error           { return nil }

func (e *echo) Ask(ctx context.Context, q models.Question, set models.Settings) (*models.Answer, error) {
	if e.busy.Swap(true) {
		panic("two answers at a time in one session")
	}
	defer e.busy.Store(false)
	e.asked.Add(1)
	a := &models.Answer{}
	pictures := 0
	var text string
	for _, t := range q.Turns {
		for _, p := range t.Parts {
			if p.Media != nil {
				pictures++
			}
			text = p.Text
		}
	}
	a.PromptTokens = len(q.Turns) + pictures
	switch text {
	case "too long":
		return nil, fmt.Errorf("%w: it has 9 tokens, the context has room for 8", qwen25vl.ErrPrompt)
	case "over":
		return nil, fmt.Errorf("/secret/chat_template.json:7: %w: more than 9 bytes of output", chat.ErrLimit)
	case "refused":
		return nil, fmt.Errorf("/secret/chat_template.json:7: %w: no", chat.ErrRefused)
	case "lost":
		return nil, fmt.Errorf("partition 0 on cuda:7: %w: an illegal address", runtime.ErrLost)
	case "broken":
		return nil, errors.New("device cuda:7 in /secret/folder")
	}
	for i, word := range strings.SplitAfter(text, " ") {
		if a.Cut = set.Most > 0 && i == set.Most; a.Cut {
			break
		}
		a.Text += word
		a.Tokens = append(a.Tokens, int32(i))
		if err := set.OnText(word); errors.Is(err, models.ErrEnough) {
			return a, nil
		} else if err != nil {
			return nil, err
		}
		if i == 0 && e.hold != nil {
			select {
			case <-e.hold:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	a.Stats.Tokens = len(a.Tokens)
	return a, nil
}

func newTestServer(t *testing.T, change func(*Config), sessions ...models.Session) (*Server, *httptest.Server) {
	t.Helper()
	c := Config{Model: "echo", Started: time.Unix(1, 0), Settings: models.Settings{Sampling: generate.Defaults()}, Limits: DefaultLimits(), Log: func(text string) { t.Log(text) }}
	if change != nil {
		change(&c)
	}
	s := New(c, sessions)
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return s, h
}

func post(t *testing.T, ctx context.Context, h *httptest.Server, body string) (status int, answer string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := h.Client().Do(r)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return 0, "", nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func says(text string) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":%q}]}`, text)
}

func dataURL(t *testing.T, w, h int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

func shows(url string) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":%q}},{"type":"text","text":"seen"}]}]}`, url)
}

// TestRequests: what is understood is answered, all else is refused by name.
func TestRequests(t *testing.T) {
	_, h := newTestServer(t, func(c *Config) { c.Limits.Body, c.Limits.Pixels, c.Limits.Images = 100_000, 1000, 2 }, &echo{})
	two := fmt.Sprintf(`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":%q}},{"type":"image_url","image_url":{"url":"data:image/png;base64,"}}]}]}`, dataURL(t, 9, 9))
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"text", says("one two"), 200, `"content":"one two"`},
		{"all that is ignored", `{"user":"u","metadata":{"a":"b"},"store":false,"messages":[{"role":"user","content":"x"}]}`, 200, `"finish_reason":"stop"`},
		{"neutral values", `{"n":1,"frequency_penalty":0,"logprobs":false,"response_format":{"type":"text"},"model":"echo","messages":[{"role":"user","content":"x"}]}`, 200, `"model":"echo"`},
		{"a picture", shows(dataURL(t, 10, 10)), 200, `"prompt_tokens":2`},
		{"an end", `{"max_tokens":1,"messages":[{"role":"user","content":"a b c"}]}`, 200, `"finish_reason":"length"`},
		{"a stop", `{"stop":["b c"],"messages":[{"role":"user","content":"a b c"}]}`, 200, `"content":"a ","refusal":null},"logprobs":null,"finish_reason":"stop"`},
		{"a system and earlier turns", `{"messages":[{"role":"developer","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b","refusal":null},{"role":"user","content":"c"}]}`, 200, `"prompt_tokens":4`},

		{"no JSON", `{"messages":`, 400, "unexpected EOF"},
		{"two values", says("x") + says("y"), 400, "more than one JSON value"},
		{"deep JSON", `{"messages":` + strings.Repeat("[", 20_000), 400, "the body is not what it should be"},
		{"another type", `{"messages":"x"}`, 400, `"messages: it is a JSON string: want a list`},
		{"another type of all", `[1]`, 400, `"the body is a JSON array: want an object`},
		{"content of another type", `{"messages":[{"role":"user","content":5}]}`, 400, `"messages[0].content: it is a JSON number: want a list`},
		{"the second content of another type", `{"messages":[{"role":"system","content":"s"},{"role":"user","content":5},{"role":"user","content":"x"}]}`, 400, `"param":"messages[1].content"`},
		{"the third part of another type", `{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"y"},{"type":"image_url","image_url":"data:"}]},{"role":"user","content":"x"}]}`, 400, `"messages[1].content[2].image_url: it is a JSON string: want an object`},
		{"a part of another type", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},"y"]}]}`, 400, `"messages[0].content[1]: it is a JSON string: want an object`},
		{"a role of another type", `{"messages":[{"role":"system","content":"s"},{"role":5,"content":"x"},{"role":"user","content":"x"}]}`, 400, `"messages[1].role: it is a JSON number: want a string`},
		{"a message of another type", `{"messages":[5]}`, 400, `"messages: it is a JSON number: want an object`},
		{"padding", `{"stream":true,"stream_options":{"include_obfuscation":true},"messages":[{"role":"user","content":"x"}]}`, 400, `"stream_options.include_obfuscation: `},
		{"unknown", `{"mesages":[]}`, 400, `"mesages: there is no such member","type":"invalid_request_error","param":"mesages"`},
		{"unknown in a part", `{"messages":[{"role":"user","content":[{"type":"text","txt":"x"}]}]}`, 400, `"txt: there is no such member`},
		{"too large", says(strings.Repeat("x", 100_001)), 413, "at most 100000 are allowed"},
		{"no messages", `{}`, 400, "no messages"},
		{"no question", `{"messages":[{"role":"assistant","content":"x"}]}`, 400, "the last message must be the user's"},
		{"another role", `{"messages":[{"role":"tool","content":"x"},{"role":"user","content":"x"}]}`, 400, `messages[0].role`},
		{"another model", `{"model":"gpt","messages":[{"role":"user","content":"x"}]}`, 404, `no model \"gpt\"; this server has \"echo\"`},
		{"two answers", `{"n":2,"messages":[{"role":"user","content":"x"}]}`, 400, "one answer a request"},
		{"no tokens", `{"max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, 400, "want 1 to 2147483647"},
		{"fewer than none", `{"max_completion_tokens":-9223372036854775808,"messages":[{"role":"user","content":"x"}]}`, 400, "want 1 to 2147483647"},
		{"more than any", `{"max_tokens":2147483648,"messages":[{"role":"user","content":"x"}]}`, 400, "2147483648: want 1 to 2147483647"},
		{"half a token", `{"max_tokens":1.5,"messages":[{"role":"user","content":"x"}]}`, 400, `"max_tokens: it is a JSON number 1.5: want a whole number`},
		{"huge tokens", `{"max_tokens":99999999999999999999,"messages":[{"role":"user","content":"x"}]}`, 400, `want a whole number`},
		{"two ends", `{"max_tokens":1,"max_completion_tokens":2,"messages":[{"role":"user","content":"x"}]}`, 400, "differ"},
		{"empty stop", `{"stop":"","messages":[{"role":"user","content":"x"}]}`, 400, "none empty"},
		{"JSON answers", `{"response_format":{"type":"json_object"},"messages":[{"role":"user","content":"x"}]}`, 400, "only text"},
		{"log probabilities", `{"logprobs":true,"messages":[{"role":"user","content":"x"}]}`, 400, "logprobs"},

		{"a remote picture", shows("https://example.com/a.png"), 400, `"messages[0].content[0].image_url.url: a picture must be in the request`},
		{"a file", shows("file:///etc/passwd"), 400, "fetches nothing"},
		{"no base64", shows("data:image/png,abc"), 400, `"messages[0].content[0].image_url.url: a data URL must be`},
		{"broken base64", shows("data:image/png;base64,?"), 400, `"messages[0].content[0].image_url.url: a data URL is not base64`},
		{"no picture", shows("data:image/png;base64,aGVsbG8="), 400, `"messages[0].content[0].image_url.url: malformed picture`},
		{"no picture, by its member", shows("data:image/png;base64,aGVsbG8="), 400, `"param":"messages[0].content[0].image_url.url","code":"invalid_image"`},
		{"the second picture", two, 400, `"messages[1].content[2].image_url.url: malformed picture: the file is empty`},
		{"a large picture", shows(dataURL(t, 100, 11)), 400, "at most 1000 are allowed"},
		{"pictures of a model", strings.Replace(shows(dataURL(t, 9, 9)), `"user"`, `"system"`, 1), 400, "the last message"},
		{"too many pictures", `{"messages":[{"role":"user","content":[` + strings.Repeat(fmt.Sprintf(`{"type":"image_url","image_url":{"url":%q}},`, dataURL(t, 9, 9)), 3) + `{"type":"text","text":"x"}]}]}`, 400, "at most 2 pictures"},
		{"sound", `{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, 400, `"messages[0].content[0].type: \"input_audio\"`},

		{"nothing", "", 400, `"the body is empty: want a JSON object`},
		{"no content", `{"messages":[{"role":"user"}]}`, 400, `"messages[0].content: missing`},
		{"null content", `{"messages":[{"role":"user","content":null}]}`, 400, `"messages[0].content: missing`},
		{"a part of both", strings.Replace(shows(dataURL(t, 9, 9)), `"image_url",`, `"image_url","text":"x",`, 1), 400, `"messages[0].content[0]: it holds a text and a picture`},

		{"no room", says("too long"), 400, "context_length_exceeded"},
		{"no room in the template", says("over"), 400, `"messages: the prompt that they make is too long for the chat template: more than 9 bytes of output","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"`},
		{"what the template refuses", says("refused"), 400, `"messages: the chat template refuses this conversation: no"`},
		{"a fault of the server's", says("broken"), 500, "the server's log says why"},
	} {
		status, answer, _ := post(t, t.Context(), h, c.body)
		if status != c.status || !strings.Contains(answer, c.want) || strings.Contains(answer, "secret") {
			t.Errorf("%s: %d %s, want %d and %s", c.name, status, answer, c.status, c.want)
		}
		if status != 200 && !json.Valid([]byte(answer)) {
			t.Errorf("%s: an error that is no JSON: %s", c.name, answer)
		}
	}
}

// TestLost wants a server whose device is lost to say so to every client, and to whoever
// watches it.
func TestLost(t *testing.T) {
	var log []string
	e := &echo{}
	_, h := newTestServer(t, func(c *Config) { c.Log = func(text string) { log = append(log, text) } }, e)
	for range 3 {
		status, answer, header := post(t, t.Context(), h, says("lost"))
		if status != http.StatusServiceUnavailable || !strings.Contains(answer, "device_lost") || !strings.Contains(answer, "started again") || strings.Contains(answer, "cuda:7") || header.Get("Retry-After") != "" {
			t.Errorf("%d %s", status, answer)
		}
	}
	if e.asked.Load() != 1 || len(log) != 1 || !strings.Contains(log[0], "cuda:7") || !strings.Contains(log[0], "503 until the server is started again") {
		t.Errorf("asked %d times; the log: %q", e.asked.Load(), log)
	}
	r, err := http.Get(h.URL + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "unhealthy") {
		t.Errorf("health: %d %s %v", r.StatusCode, body, err)
	}
}

// TestLargeBody: a body that says how large it is gets its answer before it is sent.
func TestLargeBody(t *testing.T) {
	_, h := newTestServer(t, nil, &echo{})
	c, err := net.Dial("tcp", h.Listener.Addr().String()) //nolint:noctx // it listens
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 1<<30)
	first := make([]byte, 12)
	if _, err := io.ReadFull(c, first); err != nil || string(first) != "HTTP/1.1 413" {
		t.Errorf("%q %v", first, err)
	}
}

// TestStream: pieces come as they are made, and end as OpenAI's do.
func TestStream(t *testing.T) {
	hold := make(chan struct{})
	_, h := newTestServer(t, nil, &echo{hold: hold})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/v1/chat/completions", strings.NewReader(`{"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one two"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := h.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 512)
	n, err := resp.Body.Read(first)
	if err != nil || !strings.Contains(string(first[:n]), `"delta":{"role":"assistant","content":"one "}`) {
		t.Fatalf("before the answer is whole: %q %v", first[:n], err)
	}
	close(hold)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := string(rest)
	for _, want := range []string{`"delta":{"content":"two"}`, `"delta":{},"logprobs":null,"finish_reason":"stop"`, `"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2`} {
		i := strings.Index(got, want)
		if i < 0 {
			t.Fatalf("no %s in %s", want, rest)
		}
		got = got[i:]
	}
	if !strings.HasSuffix(got, "data: [DONE]\n\n") || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v %q", resp.Header, got)
	}
}

// TestQueue: one answer at a time in a slot, one waits, the next is sent away; a
// client that leaves frees its place.
func TestQueue(t *testing.T) {
	e := &echo{hold: make(chan struct{})}
	s, h := newTestServer(t, func(c *Config) { c.Limits.Queue = 1 }, e)
	load := func(busy, waiting int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			b, w := s.slots.load()
			if b == busy && w == waiting {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d busy, %d waiting, want %d and %d", b, w, busy, waiting)
			}
		}
	}
	leave := make([]func(), 3)
	done := make(chan int, 3)
	for i := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		leave[i] = cancel
		go func() {
			status, _, _ := post(t, ctx, h, says(fmt.Sprint("client ", i)))
			done <- status
		}()
		load(1, i)
	}
	status, answer, header := post(t, t.Context(), h, says("late"))
	if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(answer, "queue is full") {
		t.Errorf("with a full queue: %d %v %s", status, header, answer)
	}
	leave[1]()
	load(1, 0)
	leave[0]()
	load(0, 0)
	for range 2 {
		if status := <-done; status != 0 {
			t.Errorf("a client that left got %d", status)
		}
	}
	close(e.hold)
	if status, _, _ := post(t, t.Context(), h, says("next")); status != 200 {
		t.Errorf("after all left: %d", status)
	}
}

// TestSlots: a conversation goes on in the slot that holds it; a new one gets the
// slot that rested longest.
func TestSlots(t *testing.T) {
	a, b := &echo{}, &echo{}
	_, h := newTestServer(t, nil, a, b)
	turns := func(texts ...string) string {
		var out []string
		for i, text := range texts {
			role := []string{"user", "assistant"}[i%2]
			out = append(out, fmt.Sprintf(`{"role":%q,"content":%q}`, role, text))
		}
		return `{"messages":[` + strings.Join(out, ",") + `]}`
	}
	for i, step := range []struct {
		body string
		a, b int64
	}{
		{turns("one"), 1, 0},
		{turns("two"), 1, 1},
		{turns("one", "one", "more"), 2, 1},
		{turns("one", "one", "more", "more", "still"), 3, 1},
		{turns("two", "two", "x"), 3, 2},
		{turns("three"), 4, 2},
	} {
		if status, answer, _ := post(t, t.Context(), h, step.body); status != 200 {
			t.Fatal(answer)
		}
		if a.asked.Load() != step.a || b.asked.Load() != step.b {
			t.Errorf("step %d: %d and %d answers, want %d and %d", i, a.asked.Load(), b.asked.Load(), step.a, step.b)
		}
	}
}

// TestDoor: who may come in, and what else is there.
func TestDoor(t *testing.T) {
	_, h := newTestServer(t, func(c *Config) { c.Key, c.Hosts = "k3y", []string{"127.0.0.1", "localhost"} }, &echo{})
	for _, c := range []struct {
		method, path, host, key, kind string
		status                        int
		want                          string
	}{
		{"GET", "/", "", "", "", 200, "<title>mnnconv</title>"},
		{"GET", "/health", "", "", "", 200, `{"status":"ok","slots":1,"busy":0,"waiting":0}`},
		{"GET", "/v1/models", "", "", "", 401, "Authorization: Bearer KEY"},
		{"GET", "/v1/models", "", "wrong", "", 401, ""},
		{"GET", "/v1/models", "", "k3y", "", 200, `"data":[{"id":"echo"`},
		{"GET", "/v1/models/echo", "localhost:80", "k3y", "", 200, `"id":"echo"`},
		{"GET", "/v1/models/none", "", "k3y", "", 404, "no model"},
		{"GET", "/metrics", "", "k3y", "", 200, "mnnconv_slots 1"},
		{"GET", "/health", "evil.example", "", "", 421, "not called"},
		{"GET", "/nothing", "", "k3y", "", 404, "there is no GET /nothing"},
		{"GET", "/v1/chat/completions", "", "k3y", "", 405, "want POST"},
		{"POST", "/v1/chat/completions", "", "k3y", "text/plain", 415, "application/json"},
		{"POST", "/v1/chat/completions", "", "k3y", "application/json; charset=utf-8", 200, `"content":"x"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, h.URL+c.path, strings.NewReader(says("x")))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		if c.key != "" {
			r.Header.Set("Authorization", "Bearer "+c.key)
		}
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		resp, err := h.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s to %q with key %q: %d %s, want %d %s", c.method, c.path, c.host, c.key, resp.StatusCode, body, c.status, c.want)
		}
	}
}

// TestEnd: when the server ends, answers end with it and no session is in use.
func TestEnd(t *testing.T) {
	e := &echo{hold: make(chan struct{})}
	s := New(Config{Model: "echo", Settings: models.Settings{Sampling: generate.Defaults()}, Limits: DefaultLimits(), Log: func(string) {}}, []models.Session{e})
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	go func() {
		resp, err := http.Post("http://"+l.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(says("x y"))) //nolint:noctx // the server ends it
		if err == nil {
			resp.Body.Close()
		}
	}()
	for e.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if e.busy.Load() {
		t.Error("a session is in use after the end")
	}
}

// TestMethods: a path that is there says by which method.
func TestMethods(t *testing.T) {
	_, h := newTestServer(t, nil, &echo{})
	for _, c := range []struct {
		method, path, allow string
		status              int
	}{
		{"GET", "/v1/chat/completions", "POST", 405},
		{"OPTIONS", "/v1/chat/completions", "POST", 405},
		{"PUT", "/v1/models", "GET", 405},
		{"DELETE", "/v1/models/echo", "GET", 405},
		{"POST", "/", "GET", 405},
		{"HEAD", "/health", "", 200},
		{"POST", "/v1/completions", "", 404},
		{"GET", "/nowhere", "", 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, h.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || resp.Header.Get("Allow") != c.allow || c.status != 200 && (!json.Valid(body) || !strings.Contains(string(body), c.method+" "+c.path)) {
			t.Errorf("%s %s: %d, allowed %q, %s, %v", c.method, c.path, resp.StatusCode, resp.Header.Get("Allow"), body, err)
		}
	}
}

// TestEncoded: a body that is encoded is refused as such, not read as what it is not.
func TestEncoded(t *testing.T) {
	_, h := newTestServer(t, nil, &echo{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"/v1/chat/completions", strings.NewReader("\x1f\x8b"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	resp, err := h.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusUnsupportedMediaType || !strings.Contains(string(body), "gzip") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}
