//go:build browser

package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// browser is a Chromium that is spoken to over two pipes: messages of its DevTools
// protocol, each ended by a zero byte.
type browser struct {
	in   io.Writer
	out  *bufio.Reader
	last int
}

// start starts Chromium with no network but files.
func start(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		program, err = exec.LookPath("chromium")
	}
	if err != nil {
		t.Fatalf("%v: install Debian's chromium-headless-shell or chromium", err)
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	t.Cleanup(func() {
		_, _ = in.Write([]byte(`{"id":0,"method":"Browser.close"}` + "\x00"))
		over := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		over.Stop()
		in.Close()
		out.Close()
	})
	if err := out.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &browser{in: in, out: bufio.NewReader(out)}
}

// message is an answer or an event.
type message struct {
	ID        int
	SessionID string `json:"sessionId"`
	Method    string
	Params    json.RawMessage
	Result    json.RawMessage
	Error     *struct{ Message string }
}

// call sends a command and returns its result; event is told of all that comes
// meanwhile.
func (b *browser) call(t *testing.T, session, method string, params any, event func(message)) json.RawMessage {
	t.Helper()
	b.last++
	m := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		m := b.next(t)
		switch {
		case m.ID == b.last && m.Error != nil:
			t.Fatalf("%s: %s", method, m.Error.Message)
		case m.ID == b.last:
			return m.Result
		case event != nil:
			event(m)
		}
	}
}

func (b *browser) next(t *testing.T) message {
	t.Helper()
	text, err := b.out.ReadBytes(0)
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	var m message
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// page is an open page, with what it asked for and said.
type page struct {
	*browser
	session  string
	requests []string
	said     []string
	done     bool
	loaded   time.Duration // until all was there and two frames were drawn
}

// open opens a page and waits until it is drawn.
func (b *browser) open(t *testing.T, url string) *page {
	t.Helper()
	var target struct{ TargetID string }
	decode(t, b.call(t, "", "Target.createTarget", map[string]string{"url": "about:blank"}, nil), &target)
	var attached struct{ SessionID string }
	decode(t, b.call(t, "", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, nil), &attached)
	p := &page{browser: b, session: attached.SessionID}
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		p.call(t, domain+".enable", map[string]any{})
	}
	begin := time.Now()
	p.call(t, "Page.navigate", map[string]string{"url": url})
	for !p.done {
		p.event(b.next(t))
	}
	p.eval(t, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	p.loaded = time.Since(begin)
	return p
}

func (p *page) event(m message) {
	if m.SessionID != p.session {
		return
	}
	switch m.Method {
	case "Network.requestWillBeSent":
		var e struct{ Request struct{ URL string } }
		_ = json.Unmarshal(m.Params, &e)
		p.requests = append(p.requests, e.Request.URL)
	case "Page.loadEventFired":
		p.done = true
	case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
		p.said = append(p.said, string(m.Params))
	}
}

func (p *page) call(t *testing.T, method string, params any) json.RawMessage {
	t.Helper()
	return p.browser.call(t, p.session, method, params, p.event)
}

// eval returns the value of a script as JSON.
func (p *page) eval(t *testing.T, script string) string {
	t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	decode(t, p.call(t, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}), &r)
	if r.ExceptionDetails != nil {
		return fmt.Sprintf("exception %s", r.ExceptionDetails)
	}
	return string(r.Result.Value)
}

// quiet wants the console to be empty so far.
func (p *page) quiet(t *testing.T) {
	t.Helper()
	for _, said := range slices.Compact(p.said) {
		t.Errorf("the console says %s", said)
	}
}

func decode(t *testing.T, b json.RawMessage, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}
