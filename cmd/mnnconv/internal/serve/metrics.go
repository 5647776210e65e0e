package serve

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// counters are what /metrics tells.
type counters struct {
	registry                                *prometheus.Registry
	requests                                *prometheus.CounterVec
	promptTokens, reusedTokens, tokens      prometheus.Counter
	queued, firstToken, tokenTime, duration prometheus.Histogram
	rows, left                              prometheus.Histogram
}

func newCounters(s *slots) *counters {
	r := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "mnnconv_" + name, Help: help})
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, from float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mnnconv_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(from, 2, 16)})
		r.MustRegister(h)
		return h
	}
	gauge := func(name, help string, f func() int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mnnconv_" + name, Help: help}, func() float64 { return float64(f()) }))
	}
	c := &counters{
		registry:     r,
		requests:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mnnconv_requests_total", Help: "Completions asked for, by status; 499: the client went away."}, []string{"status"}),
		promptTokens: counter("prompt_tokens_total", "Tokens of prompts."),
		reusedTokens: counter("reused_tokens_total", "Tokens of prompts that a slot still held."),
		tokens:       counter("tokens_total", "Tokens of answers."),
		queued:       histogram("queue_seconds", "Time a request waited for a slot.", 0.001),
		firstToken:   histogram("first_token_seconds", "Time from slot to first token.", 0.004),
		tokenTime:    histogram("token_seconds", "Time of a token after the first, on average of an answer.", 0.0001),
		duration:     histogram("answer_seconds", "Time of an answer in its slot.", 0.004),
		left:         histogram("left_seconds", "Time from when a client went away to when its slot was free.", 0.001),
		rows: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mnnconv_step_rows", Help: "Conversations that a decode step was of, where slots share steps.",
			Buckets: []float64{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16}}),
	}
	r.MustRegister(c.requests, c.rows, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge("slots", "Slots.", func() int { return s.all })
	gauge("slots_busy", "Slots that answer.", func() int { busy, _ := s.load(); return busy })
	gauge("queue", "Requests that wait for a slot.", func() int { _, waiting := s.load(); return waiting })
	return c
}

func (c *counters) request(status int) { c.requests.WithLabelValues(strconv.Itoa(status)).Inc() }

func (c *counters) waited(d time.Duration) { c.queued.Observe(d.Seconds()) }

func (c *counters) answer(a *finished) {
	st := a.Stats
	c.promptTokens.Add(float64(st.PromptTokens))
	c.reusedTokens.Add(float64(st.ReusedTokens))
	c.tokens.Add(float64(st.Tokens))
	c.firstToken.Observe(st.FirstToken.Seconds())
	c.duration.Observe((st.Preprocess + st.Encode + st.Prefill + st.Decode).Seconds())
	if st.Decoded > 0 {
		c.tokenTime.Observe(st.Decode.Seconds() / float64(st.Decoded))
	}
}
