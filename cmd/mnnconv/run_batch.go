package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/schemas/disk"
)

// questionLine is a question as a line of JSON. Its files are relative to the
// questions file; video is one video of frames, two a second.
type questionLine struct {
	ID       json.RawMessage `json:"id"`
	Images   []string        `json:"images"`
	Video    []string        `json:"video"`
	Question *string         `json:"question"`

	// Lines may say more, such as the answer that is right; what looks like pictures is
	// no such thing.
	Image  json.RawMessage `json:"image"`
	Videos json.RawMessage `json:"videos"`
}

// failedLine stands in the place of an answer.
type failedLine struct {
	ID    json.RawMessage `json:"id"`
	Error string          `json:"error"`
}

// errFailed: some questions of a batch got no answer.
var errFailed = errors.New("questions failed")

// runBatch answers the questions of a file, as many at a time as there are slots, and
// writes the answers in the order of the questions. A line that fails does not end the
// others; the first failure decides the exit code.
func runBatch(ctx context.Context, o *runOptions, p *mnnconv.Program) (err error) {
	in, dir, total := o.stdin(ctx), ".", int64(-1)
	if o.batch != "-" {
		f, err := os.Open(o.batch)
		if err != nil {
			return err
		}
		defer f.Close()
		if total, err = countLines(f); err != nil {
			return err
		}
		in, dir = f, filepath.Dir(o.batch)
	}
	sessions, err := p.Slots(o.context)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range sessions {
			err = errors.Join(err, s.Close())
		}
	}()
	b := &batch{o: o, dir: dir, settings: o.sampling.settings(p)}
	bar := o.progress("answering", total, false)
	defer bar.end()

	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	work, order := make(chan *asked), make(chan *asked, len(sessions)) // the same ones
	for _, s := range sessions {
		working.Go(func() {
			for x := range work {
				x.answer, x.err = b.ask(ctx, s, x)
				close(x.done)
			}
		})
	}
	var unread error
	working.Go(func() {
		defer close(work)
		defer close(order)
		unread = b.read(ctx, in, work, order)
	})
	var first error
	failed, count := 0, 0
	for x := range order {
		<-x.done
		if x.line != nil {
			count++
			err := b.write(x, bar)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, disk.ErrWrite) {
				return err
			}
			if err != nil {
				failed++
				if first == nil {
					first = fmt.Errorf("%s: line %d: %w", o.batch, x.n, err)
				}
			}
		}
		bar.add(1)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if unread != nil {
		return unread
	}
	bar.end()
	if o.stats {
		writeStats(o.err, b.stats, b.answers)
		_ = o.report().table().write(o.err, "")
	}
	if first != nil {
		return fmt.Errorf("%d of %d %w, the first: %w", failed, count, errFailed, first)
	}
	return nil
}

// asked is a line on its way to its answer.
type asked struct {
	n      int
	line   []byte // nil: blank
	id     json.RawMessage
	answer *models.Answer
	err    error
	done   chan struct{} // closed when answer or err is there
}

// read hands out the lines, to be answered and, in their order, to be written.
func (b *batch) read(ctx context.Context, in io.Reader, work, order chan<- *asked) error {
	questions := bufio.NewReaderSize(in, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(questions, maxLine)
		switch {
		case errors.As(err, new(*fs.PathError)): // it names the file
			return err
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("%s: line %d: %w", b.o.batch, n, err)
		}
		x := &asked{n: n, done: make(chan struct{})}
		if len(bytes.TrimSpace(line)) > 0 {
			x.line = bytes.Clone(line)
		} else {
			close(x.done)
		}
		if x.line != nil || err == nil {
			select {
			case order <- x:
			case <-ctx.Done():
				return nil
			}
		}
		if x.line != nil {
			select {
			case work <- x:
			case <-ctx.Done():
				x.err = ctx.Err()
				close(x.done)
				return nil
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the file
		}
	}
}

// batch answers the lines of one questions file.
type batch struct {
	o        *runOptions
	dir      string
	settings models.Settings
	stats    models.Stats // summed
	answers  int          // that they are of
}

// write writes one line for one line, and returns why there is no answer. An error in
// writing wraps disk.ErrWrite.
func (b *batch) write(x *asked, bar *progress) error {
	defer b.o.trace.recorder.Begin(answerLabel).End()
	if errors.Is(x.err, context.Canceled) {
		return x.err
	}
	bar.hide()
	if x.id == nil {
		x.id = json.RawMessage("null")
	}
	var out any
	if x.err != nil {
		out = failedLine{x.id, strings.Join(lines(x.err), "; ")}
	} else {
		out = newAnswerLine(x.id, x.answer)
		b.stats = sum(b.stats, x.answer.Stats)
		b.answers++
	}
	if err := writeJSON(b.o.out, out); err != nil {
		return fmt.Errorf("answer %w: %w", disk.ErrWrite, err)
	}
	return x.err
}

// parseQuestion reads a line. Also with an error, its ID is there if the line has one.
func parseQuestion(line []byte) (q questionLine, err error) {
	err = decodeLine(line, &q)
	switch {
	case err != nil:
		return q, err
	case q.Image != nil:
		return q, fmt.Errorf(`%w: "image" shows nothing: write "images": [FILES]`, errLine)
	case q.Videos != nil:
		return q, fmt.Errorf(`%w: "videos" shows nothing: write "video": [FRAME FILES]`, errLine)
	case q.Question == nil:
		return q, fmt.Errorf(`%w: no "question" in the line`, errLine)
	}
	return q, nil
}

// ask answers a line in a session.
func (b *batch) ask(ctx context.Context, s models.Session, x *asked) (*models.Answer, error) {
	q, err := parseQuestion(x.line)
	x.id = q.ID
	if err != nil {
		return nil, err
	}
	var media []medium
	for _, f := range q.Images {
		media = append(media, medium{files: []string{b.path(f)}})
	}
	if len(q.Video) > 0 {
		m := medium{video: true}
		for _, f := range q.Video {
			m.files = append(m.files, b.path(f))
		}
		media = append(media, m)
	}
	reading := b.o.trace.recorder.Begin(picturesLabel)
	loaded, err := loadMedia(media, videoFPS, b.o.maxImages)
	reading.End()
	if err != nil {
		return nil, err
	}
	return s.Ask(ctx, models.Asking(*q.Question, loaded...), b.settings)
}

func (b *batch) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(b.dir, file)
}

func sum(a, b models.Stats) models.Stats {
	for _, p := range []struct{ to, from *time.Duration }{
		{&a.Preprocess, &b.Preprocess}, {&a.Encode, &b.Encode}, {&a.Prefill, &b.Prefill}, {&a.Decode, &b.Decode}, {&a.FirstToken, &b.FirstToken},
	} {
		*p.to += *p.from
	}
	a.ImageTokens += b.ImageTokens
	a.PromptTokens += b.PromptTokens
	a.Tokens += b.Tokens
	a.Decoded += b.Decoded
	a.ReusedTokens += b.ReusedTokens
	a.Drafted += b.Drafted
	a.Accepted += b.Accepted
	return a
}

// countLines counts the ends of a file's lines and goes back to its start; -1 for
// what is no file but a pipe, say.
func countLines(f *os.File) (int64, error) {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return -1, err
	}
	n := int64(0)
	buf := make([]byte, 1<<16)
	for {
		k, err := f.Read(buf)
		n += int64(bytes.Count(buf[:k], []byte{'\n'}))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	_, err := f.Seek(0, io.SeekStart)
	return n, err
}
