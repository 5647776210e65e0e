package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/passes/quantize"
)

// calibrationTokens bounds the answers to calibration questions.
const calibrationTokens = 64

// questionError is of a line of a questions file, whichever weight it was asked for.
type questionError struct{ error }

func (e questionError) Unwrap() error { return e.error }

// ofQuestion returns the error of a question in err, without the weight whose codes
// needed it first, or else err.
func ofQuestion(err error) error {
	if q := (questionError{}); errors.As(err, &q) {
		return q.error
	}
	return err
}

// calibrator asks the model all questions of a file, and takes the likeliest
// answers.
func (a *app) calibrator(ctx context.Context, questions, src string, w mnnconv.Options) (quantize.Calibrator, error) {
	f, err := os.Open(questions)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := readQuestions(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", questions, err)
	}
	w.Note, w.Place = nil, "" // on the processor, where float32 is
	return mnnconv.Calibrator(src, w, func(s models.Session) error {
		set := models.Settings{Most: calibrationTokens, Sampling: generate.Defaults()}
		b := &batch{o: &runOptions{talkOptions: talkOptions{app: a, memoryOptions: memoryOptions{maxImages: mostImages}}}, dir: filepath.Dir(questions), settings: set}
		bar := a.progress("calibrating", int64(len(lines)), false)
		defer bar.end()
		for _, x := range lines {
			if _, err := b.ask(ctx, s, x); err != nil {
				return questionError{fmt.Errorf("%s: line %d: %w", questions, x.n, err)}
			}
			bar.add(1)
		}
		return nil
	}), nil
}

// readQuestions returns the lines of a questions file that hold something, which must
// be questions.
func readQuestions(r io.Reader) ([]*asked, error) {
	var out []*asked
	in := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(in, maxLine)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if _, err := parseQuestion(line); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			out = append(out, &asked{n: n, line: bytes.Clone(line)})
		}
		if err != nil {
			break
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no question in it", errLine)
	}
	return out, nil
}
