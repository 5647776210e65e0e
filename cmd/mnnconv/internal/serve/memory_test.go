package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMemory wants what many requests send at once to be bounded, short ones to be
// answered meanwhile, and all of it to be given back.
func TestMemory(t *testing.T) {
	const most = 8 << 20
	e := &echo{}
	s, h := newTestServer(t, func(c *Config) { c.Limits.Memory, c.Limits.Pixels = most, 1<<20 }, e)
	half := make([]net.Conn, 0, 6)
	begin := func() {
		c, err := net.Dial("tcp", h.Listener.Addr().String()) //nolint:noctx // it listens
		if err != nil {
			t.Fatal(err)
		}
		half = append(half, c)
		fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 90<<20)
		_, _ = fmt.Fprintf(c, `{"messages":[{"role":"user","content":"%s`, strings.Repeat("x", 1<<20)) // the server may have had enough
	}
	for range cap(half) {
		begin()
	}
	refused := make([]byte, 12)
	for _, c := range half[1:] { // one of 1 MiB fits, with what it becomes
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(c, refused); err == nil && string(refused) == "HTTP/1.1 503" {
			break
		}
	}
	if string(refused) != "HTTP/1.1 503" {
		t.Errorf("six bodies of 1 MiB in a memory of %d bytes: %q", most, refused)
	}
	if status, answer, _ := post(t, t.Context(), h, says("short")); status != 200 {
		t.Errorf("a short request beside them: %d %s", status, answer)
	}
	for _, c := range half {
		c.Close()
	}
	free(t, s, most)

	for _, c := range []struct{ name, body string }{
		{"a long text", says(strings.Repeat("x", 2<<20))},
		{"many objects", `{"messages":[` + strings.Repeat("{},", 40_000) + `{}]}`},
	} {
		status, answer, header := post(t, t.Context(), h, c.body)
		if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(answer, "memory that there is for requests") {
			t.Errorf("%s: %d %v %.200s", c.name, status, header, answer)
		}
	}
	free(t, s, most)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if status, answer, _ := post(t, t.Context(), h, shows(dataURL(t, 300, 300))); status != 200 && status != 503 {
				t.Errorf("a picture: %d %s", status, answer)
			}
		})
	}
	wg.Wait()
	free(t, s, most)
}

// free waits until nobody holds anything.
func free(t *testing.T, s *Server, most int64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !s.memory.all.TryAcquire(most); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what requests held was not given back")
		}
	}
	s.memory.all.Release(most)
}

func TestHolding(t *testing.T) {
	m := newMemory(3 * memoryStep)
	a, b := &holding{m: m}, &holding{m: m}
	if err := errors.Join(a.use(freeMemory), a.use(1), b.use(freeMemory+2*memoryStep)); err != nil {
		t.Fatal(err)
	}
	if err := a.use(memoryStep); !errors.Is(err, errMemory) {
		t.Errorf("beyond all: %v", err)
	}
	b.release()
	if err := a.decode(t.Context(), 2*memoryStep, func() (int64, error) { return 1, nil }); err != nil {
		t.Error(err)
	}
	if a.used != freeMemory+2 || a.granted != memoryStep {
		t.Errorf("%d used, %d granted after a picture of a byte", a.used, a.granted)
	}
	a.release()
	if !m.all.TryAcquire(3 * memoryStep) {
		t.Error("not all was given back")
	}
}

// listening serves with Serve, whose limits are those of connections.
func listening(t *testing.T, change func(*Config), e *echo) (s *Server, address string) {
	t.Helper()
	s, h := newTestServer(t, change, e)
	h.Close()
	l := httptest.NewUnstartedServer(nil).Listener
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

// TestSlowClients: who sends half a request, and who opens sockets and sends nothing, is
// sent away in time and keeps nobody else from being answered for good.
func TestSlowClients(t *testing.T) {
	s, at := listening(t, func(c *Config) { c.Limits.Read, c.Limits.Connections = 300*time.Millisecond, 3 }, &echo{})
	dial := func(text string) net.Conn {
		c, err := net.Dial("tcp", at) //nolint:noctx // it listens
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(c, text)
		return c
	}
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
	half := dial(head + "Content-Length: 100\r\n\r\n{\"messages\":")
	dial("POST /v1/chat")
	dial("")
	whole := dial(head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(says("late")), says("late"))) // beyond the limit: it waits for one of them
	if got, err := io.ReadAll(half); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408") || !strings.Contains(string(got), "did not come within 300ms") {
		t.Errorf("half a request: %q %v", got, err)
	}
	if got, err := io.ReadAll(whole); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Errorf("behind them: %q %v", got, err)
	}
	free(t, s, s.c.Limits.Memory)
}

// TestGone: a client that goes away in the middle of a stream frees its slot within a
// second, and is counted.
func TestGone(t *testing.T) {
	e := &echo{hold: make(chan struct{})}
	s, at := listening(t, nil, e)
	c, err := net.Dial("tcp", at) //nolint:noctx // it listens
	if err != nil {
		t.Fatal(err)
	}
	body := `{"stream":true,"messages":[{"role":"user","content":"one two"}]}`
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := c.Read(make([]byte, 256)); err != nil {
		t.Fatal(err)
	}
	if busy, _ := s.slots.load(); busy != 1 {
		t.Fatalf("%d slots are busy in the middle of a stream", busy)
	}
	c.Close()
	gone := time.Now()
	for busy := 1; busy > 0; busy, _ = s.slots.load() {
		if time.Since(gone) > time.Second {
			t.Fatal("its slot is busy after a second")
		}
		time.Sleep(time.Millisecond)
	}
}
