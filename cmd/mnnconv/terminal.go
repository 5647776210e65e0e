package main

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal returns the file behind a stream if it is a terminal, or nil.
func terminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// colours reports whether pictures and colours may be written to the stream:
// see no-color.org.
func colours(w io.Writer) bool {
	t := os.Getenv("TERM")
	return terminal(w) != nil && os.Getenv("NO_COLOR") == "" && t != "" && t != "dumb"
}

// columns is the width of the terminal behind a stream.
func columns(w io.Writer) int {
	if f := terminal(w); f != nil {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return 80
}

// patience is how long a command may take before a progress bar tells of it.
const patience = 2 * time.Second

// progress is a bar on stderr. It is nil, and does nothing, where stderr is no
// terminal.
type progress struct {
	mu    sync.Mutex
	bar   *progressbar.ProgressBar // nil until patience is over
	total int64
	done  int64
	timer *time.Timer
}

// progress starts a bar over total steps, or bytes; -1: not known. The caller
// ends it.
func (a *app) progress(what string, total int64, bytes bool) *progress {
	if terminal(a.err) == nil {
		return nil
	}
	p := &progress{total: total}
	p.timer = time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.timer == nil {
			return
		}
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
			progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(20))
		_ = p.bar.Set64(p.done)
	})
	return p
}

// add counts n more steps.
func (p *progress) add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.bar != nil {
		_ = p.bar.Set64(min(p.done, max(p.total, 0)))
	}
}

// hide makes room for a line of output; the next step shows the bar again.
func (p *progress) hide() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// end removes the bar; a second call does nothing.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return
	}
	p.timer.Stop()
	p.timer = nil
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
