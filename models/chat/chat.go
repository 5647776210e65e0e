// Package chat turns a conversation into the text a model was trained on, by the Jinja template in the model's folder.
//
// In go messages made of text, image and video parts; out comes one string with the model's marks around them
// (<|im_start|>, <|image_pad|> …). Tokenizing that string, and keeping marks that a user merely spelled from becoming
// tokens, is the caller's.
//
// A template is a program from outside. New makes functions of it, tag by tag (lex.go, parse.go, expression.go), and
// refuses what Jinja would refuse. Render runs them under a meter that stops it at a number of steps, of bytes and of
// seconds (meter.go). Nothing in it can reach a file.
package chat

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can be wrong with a template. Errors of this package wrap one of these, or fs.ErrNotExist from Load.
var (
	ErrMalformed   = errors.New("malformed chat template")       // Jinja itself would refuse it
	ErrUnsupported = errors.New("unsupported chat template")     // it asks for what this package lacks, or refuses the conversation
	ErrLimit       = errors.New("chat template over its limits") // it takes too many steps, bytes or seconds

	// ErrRefused is the ErrUnsupported of a template that refuses the conversation.
	ErrRefused = fmt.Errorf("%w: it refuses this conversation", ErrUnsupported)
)

// Kind says what a Part holds.
type Kind int

const (
	Text Kind = iota
	Image
	Video
)

// Part is a piece of a message. Text is the words of a Text part; an Image or Video part has none: the pixels travel
// beside the prompt, and the template only marks their place.
type Part struct {
	Kind Kind
	Text string
}

// Message is one turn. Role is "system", "user", "assistant", or what else the template knows.
type Message struct {
	Role  string
	Parts []Part
}

// Options are the variables a template sees beside the messages.
type Options struct {
	AddGenerationPrompt bool      // end with the opening of the assistant's turn
	AddVisionID         bool      // number pictures and videos: "Picture 1: "
	BOS, EOS            string    // bos_token and eos_token; left undefined when empty
	Now                 time.Time // what strftime_now formats; the zero time means time.Now()
}

// Template is a chat template, read and checked. It may render for many goroutines at once.
type Template struct {
	name string // for messages: the file it came from
	text string // with newlines as \n; offsets into it give line numbers
	body []stmt
	most time.Duration // maxTime; tests of the other limits have more
}

// Render returns the conversation as the template writes it. An error names the template and the line that was running.
func (t *Template) Render(msgs []Message, opt Options) (text string, err error) {
	messages := make(list, len(msgs))
	for i, m := range msgs {
		content, err := content(m.Parts)
		if err != nil {
			return "", fmt.Errorf("message %d: %w", i+1, err)
		}
		messages[i] = dict{{"role", m.Role}, {"content", content}}
	}
	vars := map[string]any{
		"messages":              messages,
		"add_generation_prompt": opt.AddGenerationPrompt,
		"add_vision_id":         opt.AddVisionID,
	}
	if opt.BOS != "" {
		vars["bos_token"] = opt.BOS
	}
	if opt.EOS != "" {
		vars["eos_token"] = opt.EOS
	}
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	r := &rendering{
		meter: meter{deadline: time.Now().Add(t.most)}, now: opt.Now, out: &strings.Builder{}, scope: &scope{vars: vars},
	}
	defer t.caught(&r.pos, &err)
	r.all(t.body)
	return r.out.String(), nil
}

// content is what transformers' callers put under "content": a string for a message of one text, else a list of mappings.
// Templates look for pictures by type, by an image key or by an image_url key, so a picture has all three.
func content(parts []Part) (any, error) {
	if len(parts) == 0 {
		return "", nil
	}
	if len(parts) == 1 && parts[0].Kind == Text {
		return parts[0].Text, nil
	}
	out := make(list, len(parts))
	for i, p := range parts {
		switch p.Kind {
		case Text:
			out[i] = dict{{"type", "text"}, {"text", p.Text}}
		case Image:
			out[i] = dict{{"type", "image"}, {"image", "image"}, {"image_url", "image"}}
		case Video:
			out[i] = dict{{"type", "video"}, {"video", "video"}}
		default:
			return nil, fmt.Errorf("part %d: unknown kind %d", i+1, p.Kind)
		}
	}
	return out, nil
}

// fail is the form of every error about the template's text: file, line, kind, detail.
func (t *Template) fail(pos int, kind error, detail string) error {
	if r := []rune(detail); len(r) > 200 {
		detail = string(r[:200]) + " …"
	}
	line := 1 + strings.Count(t.text[:min(pos, len(t.text))], "\n")
	return fmt.Errorf("%s:%d: %w: %s", t.name, line, kind, detail)
}

// caught is deferred: it makes an error of a stop that was thrown at pos.
func (t *Template) caught(pos *int, err *error) {
	switch r := recover().(type) {
	case nil:
	case stop:
		*err = t.fail(*pos, r.kind, r.detail)
	default:
		panic(r)
	}
}
