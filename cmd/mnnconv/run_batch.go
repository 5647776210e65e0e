package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
}

// failedLine stands in the place of an answer.
type failedLine struct {
	ID    json.RawMessage `json:"id"`
	Error string          `json:"error"`
}

// errFailed: some questions of a batch got no answer.
var errFailed = errors.New("questions failed")

// runBatch answers the questions of a file one after the other. A line that
// fails does not end the others; the first failure decides the exit code.
func runBatch(ctx context.Context, o *runOptions, p *mnnconv.Program) (err error) {
	in, dir, total := o.in, ".", int64(-1)
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
	s, err := p.Chat(o.context)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	b := &batch{o: o, dir: dir, session: s, settings: o.sampling.settings(p)}
	bar := o.progress("answering", total, false)
	defer bar.end()
	questions := bufio.NewReaderSize(in, 1<<16)
	var first error
	failed, asked := 0, 0
	for n := 1; ; n++ {
		line, readErr := readLine(questions, maxLine)
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return fmt.Errorf("%s: line %d: %w", o.batch, n, readErr)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			asked++
			err := b.answer(ctx, line, bar)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, disk.ErrWrite) {
				return err
			}
			if err != nil {
				failed++
				if first == nil {
					first = fmt.Errorf("%s: line %d: %w", o.batch, n, err)
				}
			}
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		bar.add(1)
	}
	bar.end()
	if o.stats {
		writeStats(o.err, b.stats)
		_ = o.report().table().write(o.err, "")
	}
	if first != nil {
		return fmt.Errorf("%d of %d %w, the first: %w", failed, asked, errFailed, first)
	}
	return nil
}

// batch answers the lines of one questions file.
type batch struct {
	o        *runOptions
	dir      string
	session  models.Session
	settings models.Settings
	stats    models.Stats // summed
}

// answer writes one line for one line, and returns why there is no answer. An
// error in writing wraps disk.ErrWrite.
func (b *batch) answer(ctx context.Context, line []byte, bar *progress) error {
	var q questionLine
	a, err := b.ask(ctx, line, &q)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	defer b.o.trace.recorder.Begin(answerLabel).End()
	bar.hide()
	if q.ID == nil {
		q.ID = json.RawMessage("null")
	}
	var out any
	if err != nil {
		out = failedLine{q.ID, strings.Join(lines(err), "; ")}
	} else {
		out = newAnswerLine(q.ID, a)
		b.stats = sum(b.stats, a.Stats)
	}
	if werr := writeJSON(b.o.out, out); werr != nil {
		return fmt.Errorf("answer %w: %w", disk.ErrWrite, werr)
	}
	return err
}

func (b *batch) ask(ctx context.Context, line []byte, q *questionLine) (*models.Answer, error) {
	if err := decodeLine(line, q); err != nil {
		return nil, err
	}
	if q.Question == nil {
		return nil, fmt.Errorf(`%w: no "question" in the line`, errLine)
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
	return b.session.Ask(ctx, models.Asking(*q.Question, loaded...), b.settings)
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
