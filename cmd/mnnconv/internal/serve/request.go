package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
)

// request is the body of POST /v1/chat/completions. Members that are not here are
// refused.
type request struct {
	Model               string         `json:"model"`
	Messages            []message      `json:"messages"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options"`
	MaxTokens           *int           `json:"max_tokens"`
	MaxCompletionTokens *int           `json:"max_completion_tokens"`
	Temperature         *float64       `json:"temperature"`
	TopP                *float64       `json:"top_p"`
	TopK                *int           `json:"top_k"`
	MinP                *float64       `json:"min_p"`
	RepetitionPenalty   *float64       `json:"repetition_penalty"`
	Seed                *int64         `json:"seed"`
	Stop                stops          `json:"stop"`

	neutral

	// Nothing follows from these here.
	User             json.RawMessage `json:"user"`
	Metadata         json.RawMessage `json:"metadata"`
	SafetyIdentifier json.RawMessage `json:"safety_identifier"`
	PromptCacheKey   json.RawMessage `json:"prompt_cache_key"`
	Prediction       json.RawMessage `json:"prediction"` // of the answer, which is the same without it
}

type streamOptions struct {
	IncludeUsage       bool `json:"include_usage"`
	IncludeObfuscation bool `json:"include_obfuscation"`
}

type message struct {
	Role    word    `json:"role"`
	Name    word    `json:"name"`
	Content content `json:"content"`

	// In answers that are sent back.
	Refusal      json.RawMessage `json:"refusal"`
	Annotations  json.RawMessage `json:"annotations"`
	Audio        json.RawMessage `json:"audio"`
	FunctionCall json.RawMessage `json:"function_call"`
	ToolCalls    json.RawMessage `json:"tool_calls"`
}

// check refuses what this server's answers never have. at names the message.
func (m *message) check(at string) error {
	for _, c := range []struct {
		name  string
		value json.RawMessage
		taken []any
		want  string
	}{
		{"refusal", m.Refusal, nil, "this server's answers have none: want null"},
		{"tool_calls", m.ToolCalls, []any{[]any{}}, "this server calls no tools: want [] or null"},
		{"function_call", m.FunctionCall, nil, "this server calls no functions: want null"},
		{"annotations", m.Annotations, []any{[]any{}}, "not supported: want [] or null"},
		{"audio", m.Audio, nil, "only text is supported: want null"},
	} {
		if !one(c.value, c.taken) {
			return bad(at+"."+c.name, c.want)
		}
	}
	return nil
}

// content is a string, or a list of parts.
type content []part

type part struct {
	Type     string    `json:"type"`
	Text     string    `json:"text"`
	ImageURL *imageURL `json:"image_url"`
}

type imageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail"` // how large a picture is to be is the model's to say
}

func (c *content) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte{'"'}) {
		var text string
		err := json.Unmarshal(data, &text)
		*c = content{{Type: "text", Text: text}}
		return err
	}
	if !bytes.HasPrefix(data, []byte{'['}) { // null, or what json has words for
		return json.Unmarshal(data, (*[]part)(c))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if _, err := d.Token(); err != nil {
		return err
	}
	*c = content{}
	for d.More() {
		*c = append(*c, part{})
		err := d.Decode(&(*c)[len(*c)-1])
		if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) {
			kind.Field = strings.TrimSuffix(fmt.Sprintf("[%d].%s", len(*c)-1, kind.Field), ".")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// word is a string. Unlike with one of Go's, decoding ends where it is none.
type word string

func (w *word) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*string)(w)) }

// member names the member of q that has another type, where decoding ended with kind.
func (q *request) member(kind *json.UnmarshalTypeError) string {
	name := strings.ReplaceAll(kind.Field, ".[", "[")
	if rest, ok := strings.CutPrefix(name, "messages."); ok { // the last that was begun
		return fmt.Sprintf("messages[%d].%s", len(q.Messages)-1, rest)
	}
	return name
}

// stops is a string, or a list of strings.
type stops []string

func (s *stops) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte{'"'}) {
		*s = stops{""}
		return json.Unmarshal(data, &(*s)[0])
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// read decodes and checks the body of a request.
func (s *Server) read(w http.ResponseWriter, r *http.Request, held *holding) (*request, error) {
	if t := r.Header.Get("Content-Type"); t != "" && !strings.HasPrefix(t, "application/json") {
		return nil, failure{http.StatusUnsupportedMediaType, "content_type", "", "the body must be application/json, not " + quoted(t)}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, failure{http.StatusUnsupportedMediaType, "content_encoding", "", "the body must not be encoded, as " + quoted(e) + " is"}
	}
	if r.ContentLength > s.c.Limits.Body {
		return nil, failure{http.StatusRequestEntityTooLarge, "too_large", "", fmt.Sprintf("the body has %d bytes, at most %d are allowed", r.ContentLength, s.c.Limits.Body)}
	}
	var q request
	d := json.NewDecoder(counted{http.MaxBytesReader(w, r.Body, s.c.Limits.Body), held})
	d.DisallowUnknownFields()
	err := d.Decode(&q)
	if err == nil {
		if _, next := d.Token(); !errors.Is(next, io.EOF) {
			return nil, badBody("the body holds more than one JSON value")
		}
	}
	var full failure
	var large *http.MaxBytesError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &full):
		return nil, full
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, failure{http.StatusRequestTimeout, "timeout", "", fmt.Sprintf("the request did not come within %v", s.c.Limits.Read)}
	case errors.As(err, &large):
		return nil, failure{http.StatusRequestEntityTooLarge, "too_large", "", fmt.Sprintf("the body has more than %d bytes", large.Limit)}
	case errors.As(err, &kind):
		if kind.Field == "" {
			return nil, badBody("the body is a JSON " + kind.Value + ": want an object")
		}
		return nil, bad(q.member(kind), "it is a JSON "+kind.Value+": want "+wanted(kind.Type.Kind()))
	case errors.Is(err, io.EOF):
		return nil, badBody("the body is empty: want a JSON object")
	case err != nil:
		text := strings.TrimPrefix(err.Error(), "json: ")
		if name := unknown(text); name != "" {
			return nil, bad(name, "there is no such member")
		}
		return nil, badBody("the body is not what it should be: " + text)
	}
	return &q, s.check(&q)
}

// wanted says in JSON's words what a member must be.
func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// unknown returns the member that package json knows no field for, which it says in
// its message alone; empty if that is not what it says.
func unknown(text string) string {
	rest, _ := strings.CutPrefix(text, "unknown field ")
	name, err := strconv.Unquote(rest)
	if err != nil {
		return ""
	}
	return name
}

// check refuses what the server does not do, rather than doing something else.
func (s *Server) check(q *request) error {
	switch {
	case q.Model != "" && q.Model != s.c.Model:
		return failure{http.StatusNotFound, "model_not_found", "model", fmt.Sprintf("no model %s; this server has %q", quoted(q.Model), s.c.Model)}
	case len(q.Messages) == 0:
		return bad("messages", "no messages")
	case q.Messages[len(q.Messages)-1].Role != "user":
		return bad("messages", "the last message must be the user's")
	case len(q.Stop) > 4 || slices.Contains(q.Stop, ""):
		return bad("stop", "at most 4 strings, none empty")
	case q.StreamOptions != nil && q.StreamOptions.IncludeObfuscation:
		return bad("stream_options.include_obfuscation", "pieces of answers are not padded: want false or null")
	case q.MaxTokens != nil && q.MaxCompletionTokens != nil && *q.MaxTokens != *q.MaxCompletionTokens:
		return bad("max_tokens", "max_tokens and max_completion_tokens differ")
	}
	for name, n := range map[string]*int{"max_tokens": q.MaxTokens, "max_completion_tokens": q.MaxCompletionTokens} {
		if n != nil && (*n < 1 || *n > math.MaxInt32) {
			return bad(name, fmt.Sprintf("%d: want 1 to %d", *n, math.MaxInt32))
		}
	}
	return q.neutral.check()
}

// settings are the server's, with the request's in their place, if each is in its range.
func (s *Server) settings(q *request) (models.Settings, error) {
	set := s.c.Settings
	set.Reuse = true
	for _, n := range []*int{q.MaxTokens, q.MaxCompletionTokens} {
		if n != nil {
			set.Most = *n
		}
	}
	o := &set.Sampling
	change := func(on bool, f func(o *generate.Options)) {
		if on {
			o.Sample = true
			f(o)
		}
	}
	change(q.TopK != nil, func(o *generate.Options) { o.TopK = *q.TopK })
	change(q.TopP != nil, func(o *generate.Options) { o.TopP = *q.TopP })
	change(q.MinP != nil, func(o *generate.Options) { o.MinP = *q.MinP })
	change(q.Temperature != nil, func(o *generate.Options) { o.Temperature, o.Sample = *q.Temperature, *q.Temperature != 0 })
	if q.RepetitionPenalty != nil {
		o.RepetitionPenalty = *q.RepetitionPenalty
	}
	if q.Seed != nil {
		o.Seed = uint64(*q.Seed)
	}
	return set, o.Check()
}

// mark tells a turn from any other.
type mark [32]byte

// question makes a conversation of the messages, decoding their pictures, and a mark
// for each turn.
func (s *Server) question(ctx context.Context, q *request, held *holding) (models.Question, []mark, error) {
	var out models.Question
	var marks []mark
	images := 0
	for i, m := range q.Messages {
		at := fmt.Sprintf("messages[%d]", i)
		t := models.Turn{Role: string(m.Role)}
		h := sha256.New()
		fmt.Fprintf(h, "%q", m.Role)
		switch m.Role {
		case "developer":
			t.Role = "system"
		case "system", "user", "assistant":
		default:
			return out, nil, bad(at+".role", quoted(string(m.Role))+": want system, user or assistant")
		}
		if err := m.check(at); err != nil {
			return out, nil, err
		}
		if m.Content == nil {
			return out, nil, bad(at+".content", "missing: want a string, or a list of parts")
		}
		for j, p := range m.Content {
			at := fmt.Sprintf("%s.content[%d]", at, j)
			switch {
			case p.Type == "text" && p.ImageURL == nil:
				t.Parts = append(t.Parts, models.Part{Text: p.Text})
				fmt.Fprintf(h, "t%d %s", len(p.Text), p.Text)
			case p.Type == "image_url" && p.ImageURL != nil && p.Text == "" && m.Role == "user":
				if images++; images > s.c.Limits.Images {
					return out, nil, bad(at, fmt.Sprintf("at most %d pictures a request", s.c.Limits.Images))
				}
				img, err := s.picture(ctx, at+".image_url.url", p.ImageURL.URL, held)
				if err != nil {
					return out, nil, err
				}
				t.Parts = append(t.Parts, models.Part{Media: &models.Media{Frames: []*picture.RGB{img}}})
				fmt.Fprintf(h, "i%d %s", len(p.ImageURL.URL), p.ImageURL.URL)
			case p.Type == "image_url" && p.ImageURL != nil && p.Text == "":
				return out, nil, bad(at, "pictures are the user's to show")
			case p.Text != "" && p.ImageURL != nil:
				return out, nil, bad(at, "it holds a text and a picture: make a part of each")
			default:
				return out, nil, bad(at+".type", quoted(p.Type)+": want text, or image_url with a data URL")
			}
		}
		out.Turns = append(out.Turns, t)
		marks = append(marks, mark(h.Sum(nil)))
	}
	return out, marks, nil
}

// picture decodes the picture in a data URL, the member at of the request. No other
// URL is ever fetched.
func (s *Server) picture(ctx context.Context, at, url string, held *holding) (img *picture.RGB, err error) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return nil, badPicture(at, "a picture must be in the request, as data:image/png;base64,…; this server fetches nothing, not "+quoted(url))
	}
	kind, data, ok := strings.Cut(rest, ",")
	if !ok || !strings.HasSuffix(kind, ";base64") {
		return nil, badPicture(at, "a data URL must be data:image/…;base64,…, not "+quoted(url))
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, badPicture(at, "a data URL is not base64: "+err.Error())
	}
	err = held.decode(ctx, perPixel*int64(s.c.Limits.Pixels), func() (int64, error) {
		if img, err = picture.DecodeWithin(at, raw, s.c.Limits.Pixels); err != nil {
			return 0, failure{http.StatusBadRequest, codePicture, at, err.Error()}
		}
		return int64(len(img.Pix)), nil
	})
	return img, err
}
