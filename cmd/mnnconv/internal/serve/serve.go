// Package serve answers questions over HTTP, as OpenAI's chat completions do.
//
// What flows in: sessions of one model, each a slot, and requests with text and
// pictures in data URLs. What flows out: answers as JSON or as server-sent events.
// Nothing is ever fetched. A request waits in a bounded queue for a slot, gets the
// one that holds most of its conversation, and leaves it when its client goes away.
package serve

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"mnnconv/models"
)

// Config says what is served and what a client may ask for.
type Config struct {
	Model    string          // its name towards clients
	Started  time.Time       // told as the model's age
	Settings models.Settings // of answers, where a request says nothing else
	Key      string          // clients must show it; empty: none
	Hosts    []string        // names the server is called by; nil: any
	Limits   Limits
	Log      func(text string) // of failures that a client is not told in full
}

// Limits bound what clients can make the server do.
type Limits struct {
	Queue       int           // requests that wait for a slot
	Body        int64         // bytes of a request
	Memory      int64         // bytes that all requests may hold together
	Images      int           // of a request
	Pixels      int           // of a picture
	Connections int           // at a time
	Read, Idle  time.Duration // of a request, and between requests
	Write       time.Duration // for a client to take a piece of an answer
}

// DefaultLimits suit a machine that does other things too.
func DefaultLimits() Limits {
	return Limits{Queue: 512, Body: 96 << 20, Memory: 2 << 30, Images: 16, Pixels: 1 << 24, Connections: 4096,
		Read: 30 * time.Second, Idle: 120 * time.Second, Write: 30 * time.Second}
}

// Server serves one model.
type Server struct {
	c      Config
	slots  *slots
	memory *memory
	count  *counters
	lost   atomic.Bool // a device answers nothing any more, for good
}

// New makes a server over sessions, at least one, which stay the caller's.
func New(c Config, sessions []models.Session) *Server {
	s := &Server{c: c, slots: newSlots(sessions, c.Limits.Queue), memory: newMemory(c.Limits.Memory)}
	s.count = newCounters(s.slots)
	for _, session := range sessions {
		if b, ok := session.(batcher); ok {
			b.OnStep(func(rows int) { s.count.rows.Observe(float64(rows)) })
		}
	}
	return s
}

// batcher is a session that shares its decode steps with others.
type batcher interface {
	// OnStep has f told of how many conversations each step is that follows, of this one or
	// others.
	OnStep(f func(rows int))
}

// Serve answers on a listener until ctx ends, then stops at once what is being
// answered. Sessions may be closed when it has returned.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	answering, stop := context.WithCancel(context.Background())
	defer stop()
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.c.Limits.Read,
		ReadTimeout:       s.c.Limits.Read,
		IdleTimeout:       s.c.Limits.Idle,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return answering },
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(netutil.LimitListener(l, s.c.Limits.Connections)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop()
	last, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := h.Shutdown(last); err != nil {
		_ = h.Close()
	}
	s.slots.drain()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

// Handler routes requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct {
		method, path string
		answer       http.Handler
	}{
		{http.MethodGet, "/{$}", http.HandlerFunc(page)},
		{http.MethodGet, "/health", http.HandlerFunc(s.health)},
		{http.MethodGet, "/metrics", promhttp.HandlerFor(s.count.registry, promhttp.HandlerOpts{})},
		{http.MethodGet, "/v1/models", http.HandlerFunc(s.listModels)},
		{http.MethodGet, "/v1/models/{name...}", http.HandlerFunc(s.oneModel)},
		{http.MethodPost, "/v1/chat/completions", http.HandlerFunc(s.complete)},
	} {
		mux.Handle(route.method+" "+route.path, route.answer)
		mux.HandleFunc(route.path, func(w http.ResponseWriter, r *http.Request) { // by any other method
			w.Header().Set("Allow", route.method)
			s.fail(w, failure{http.StatusMethodNotAllowed, "method_not_allowed", "", r.Method + " " + r.URL.Path + ": want " + route.method})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, failure{http.StatusNotFound, "not_found", "", "there is no " + r.Method + " " + r.URL.Path + "; see /v1/chat/completions, /v1/models, /health and /metrics"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case !s.called(r.Host):
			s.fail(w, failure{http.StatusMisdirectedRequest, "host", "", "this server is not called " + quoted(r.Host)})
		case !s.knows(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, failure{http.StatusUnauthorized, "invalid_api_key", "", "give the server's key as Authorization: Bearer KEY"})
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// called tells whether a request is meant for this server: a web page from elsewhere
// that resolves its own name to this machine's address is not.
func (s *Server) called(host string) bool {
	if s.c.Hosts == nil {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	for _, own := range s.c.Hosts {
		if strings.EqualFold(strings.Trim(name, "[]"), own) {
			return true
		}
	}
	return false
}

// knows tells whether a request shows the key. Health and the page need none.
func (s *Server) knows(r *http.Request) bool {
	if s.c.Key == "" || r.URL.Path == "/health" || r.URL.Path == "/" {
		return true
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(key), []byte(s.c.Key)) == 1
}
