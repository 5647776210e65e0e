package serve

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"mnnconv/models"
	"mnnconv/runtime"
)

// completion is an answer, or with Chunk a piece of one.
type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index        int     `json:"index"`
	Message      *said   `json:"message,omitempty"`
	Delta        *delta  `json:"delta,omitempty"`
	Logprobs     *string `json:"logprobs"`
	FinishReason *string `json:"finish_reason"`
}

type said struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type usage struct {
	PromptTokens        int          `json:"prompt_tokens"`
	CompletionTokens    int          `json:"completion_tokens"`
	TotalTokens         int          `json:"total_tokens"`
	PromptTokensDetails promptTokens `json:"prompt_tokens_details"`
}

type promptTokens struct {
	CachedTokens int `json:"cached_tokens"`
}

func usageOf(a *models.Answer) *usage {
	return &usage{a.PromptTokens, len(a.Tokens), a.PromptTokens + len(a.Tokens), promptTokens{a.Stats.ReusedTokens}}
}

// complete answers POST /v1/chat/completions.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	held := &holding{m: s.memory}
	defer held.release()
	q, err := s.read(w, r, held)
	if err != nil {
		s.fail(w, err)
		return
	}
	set, err := s.settings(q)
	if err != nil {
		s.fail(w, err)
		return
	}
	question, marks, err := s.question(r.Context(), q, held)
	if r.Context().Err() != nil { // while others' pictures were decoded
		s.count.request(statusGone)
		return
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	c := completion{ID: "chatcmpl-" + rand.Text(), Object: "chat.completion", Created: time.Now().Unix(), Model: s.c.Model}
	var out answer = &whole{w: w, c: c}
	if q.Stream {
		c.Object = "chat.completion.chunk"
		out = &stream{w: http.NewResponseController(w), to: w, c: c, usage: q.StreamOptions != nil && q.StreamOptions.IncludeUsage, patience: s.c.Limits.Write}
	}
	a, err := s.ask(r.Context(), question, marks, set, q.Stop, out)
	switch {
	case r.Context().Err() != nil:
		s.count.request(statusGone)
	case err != nil && out.begun():
		f := failureOf(err)
		s.c.Log(err.Error())
		s.count.request(f.status)
		out.broke(f)
	case err != nil:
		s.fail(w, err)
	default:
		s.count.answer(a)
		s.count.request(http.StatusOK)
		out.end(a)
	}
}

// statusGone counts clients that went away before their answer was whole.
const statusGone = 499

// answer is how one is written.
type answer interface {
	text(string) error
	begun() bool   // something was written
	broke(failure) // after it began
	end(*finished)
}

// finished is an answer with why it ended.
type finished struct {
	*models.Answer
	why string
}

// ask waits for a slot and answers there.
func (s *Server) ask(ctx context.Context, q models.Question, marks []mark, set models.Settings, stops []string, out answer) (*finished, error) {
	if s.lost.Load() {
		return nil, runtime.ErrLost
	}
	queued := time.Now()
	x, err := s.slots.take(ctx, marks)
	if err != nil {
		return nil, err
	}
	var left atomic.Pointer[time.Time]
	defer context.AfterFunc(ctx, func() { now := time.Now(); left.Store(&now) })()
	defer func() {
		s.slots.give(x, marks)
		if at := left.Load(); at != nil {
			s.count.left.Observe(time.Since(*at).Seconds())
		}
	}()
	s.count.waited(time.Since(queued))
	cut := &stopper{stops: stops, say: out.text}
	set.OnText = cut.push
	if s.lost.Load() { // while this one waited
		return nil, runtime.ErrLost
	}
	a, err := x.session.Ask(ctx, q, set)
	if errors.Is(err, runtime.ErrLost) && !s.lost.Swap(true) {
		s.c.Log(err.Error() + "; requests get 503 until the server is started again")
	}
	if err == nil && !cut.stopped {
		err = cut.flush()
	}
	if err != nil {
		return nil, err
	}
	why := "stop"
	if a.Cut && !cut.stopped {
		why = "length"
	}
	return &finished{a, why}, nil
}

// whole writes an answer as one JSON object.
type whole struct {
	w http.ResponseWriter
	c completion
	b strings.Builder
}

func (o *whole) text(text string) error { o.b.WriteString(text); return nil }
func (o *whole) begun() bool            { return false }
func (o *whole) broke(failure)          {}

func (o *whole) end(a *finished) {
	o.c.Choices = []choice{{Message: &said{Role: "assistant", Content: o.b.String()}, FinishReason: &a.why}}
	o.c.Usage = usageOf(a.Answer)
	writeJSON(o.w, http.StatusOK, o.c)
}

// stream writes an answer as server-sent events, one for each piece.
type stream struct {
	w        *http.ResponseController
	to       http.ResponseWriter
	c        completion
	usage    bool
	patience time.Duration
	on       bool
}

func (o *stream) begun() bool { return o.on }

func (o *stream) text(text string) error {
	d := &delta{Content: &text}
	if !o.on {
		d.Role = "assistant"
	}
	return o.send([]choice{{Delta: d}}, nil)
}

func (o *stream) send(choices []choice, u *usage) error {
	o.c.Choices, o.c.Usage = choices, u
	return o.event(o.c)
}

// event writes one; a client that takes none for too long is given up.
func (o *stream) event(v any) error {
	if !o.on {
		o.on = true
		o.to.Header().Set("Content-Type", "text/event-stream")
		o.to.Header().Set("Cache-Control", "no-store")
		o.to.WriteHeader(http.StatusOK)
	}
	if err := o.w.SetWriteDeadline(time.Now().Add(o.patience)); err != nil {
		return err
	}
	body := []byte("[DONE]")
	if v != nil {
		var err error
		if body, err = json.Marshal(v); err != nil {
			return err
		}
	}
	if _, err := o.to.Write([]byte("data: " + string(body) + "\n\n")); err != nil {
		return err
	}
	return o.w.Flush()
}

// broke and end write last words; a client that went away misses them.
func (o *stream) broke(f failure) { _ = o.event(f.body()) }

func (o *stream) end(a *finished) {
	d := &delta{}
	if !o.on {
		d.Role = "assistant"
	}
	err := o.send([]choice{{Delta: d, FinishReason: &a.why}}, nil)
	if err == nil && o.usage {
		err = o.send([]choice{}, usageOf(a.Answer))
	}
	if err == nil {
		_ = o.event(nil)
	}
}
