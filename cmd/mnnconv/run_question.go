package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"mnnconv"
	"mnnconv/models"
)

// answerLine is an answer as a line of JSON.
type answerLine struct {
	ID           json.RawMessage `json:"id,omitempty"`
	Text         string          `json:"text"`
	Tokens       []int32         `json:"tokens"`
	PromptTokens int             `json:"prompt_tokens"`
	Stats        *statsReport    `json:"stats,omitempty"`
}

func newAnswerLine(id json.RawMessage, a *models.Answer) answerLine {
	return answerLine{ID: id, Text: a.Text, Tokens: append([]int32{}, a.Tokens...), PromptTokens: a.PromptTokens}
}

// runQuestion answers one question: its text as it comes, or one line of JSON.
func runQuestion(ctx context.Context, o *runOptions, p *mnnconv.Program) (err error) {
	text, tagged := cutImageTags(o.prompt)
	reading := o.trace.recorder.Begin(picturesLabel)
	media, err := loadMedia(append(o.media, tagged...), o.fps, o.maxImages)
	reading.End()
	if err != nil {
		return err
	}
	s, err := p.Chat(o.context)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	set := o.sampling.settings(p)
	wrote := false
	if !o.json {
		set.OnText = func(text string) error {
			wrote = true
			_, err := io.WriteString(o.out, text)
			return err
		}
	}
	answer, err := s.Ask(ctx, models.Asking(text, media...), set)
	if !o.json && (err == nil || wrote) {
		if _, werr := io.WriteString(o.out, "\n"); err == nil {
			err = werr
		}
	}
	if err != nil {
		return err
	}
	line := newAnswerLine(nil, answer)
	if o.stats {
		line.Stats = o.report()
		writeStats(o.err, answer.Stats, 1)
		_ = line.Stats.table().write(o.err, "")
	}
	if o.json {
		return writeJSON(o.out, line)
	}
	return nil
}

// writeStats prints a table of the stages of some answers, whose times s sums up.
func writeStats(w io.Writer, s models.Stats, answers int) {
	t := table{{"stage", "time", "work", "tokens/s"}}
	row := func(stage string, d time.Duration, tokens int, what string) {
		rate := ""
		if tokens > 0 && d > 0 {
			rate = fmt.Sprintf("%.1f", float64(tokens)/d.Seconds())
		}
		t.add(stage, milliseconds(d), what, rate)
	}
	row("preprocess", s.Preprocess, 0, "")
	row("encode", s.Encode, s.ImageTokens, plural(s.ImageTokens, "image token"))
	prompt := plural(s.PromptTokens, "prompt token")
	if s.ReusedTokens > 0 {
		prompt += fmt.Sprintf(", %d of them known", s.ReusedTokens)
	}
	row("prefill", s.Prefill, s.PromptTokens-s.ReusedTokens, prompt)
	tokens := plural(s.Tokens, "token")
	if s.Drafted > 0 {
		tokens += fmt.Sprintf(", %d of them drafted, of %d", s.Accepted, s.Drafted)
	}
	row("decode", s.Decode, s.Decoded, tokens)
	mean := ""
	if answers > 1 {
		mean = fmt.Sprintf("mean of %d answers", answers)
	}
	row("first token", s.FirstToken/time.Duration(max(answers, 1)), 0, mean)
	_ = t.write(w, "")
}
