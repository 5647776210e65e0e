package chat

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLoad(t *testing.T) {
	const (
		jinja  = "chat_template.jinja"
		json   = "chat_template.json"
		config = "tokenizer_config.json"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // what the template renders
		kind  error
		text  string // in the error
	}{
		{"jinja first", map[string]string{jinja: "a", json: `{"chat_template": "b"}`, config: `{"chat_template": "c"}`}, "a", nil, ""},
		{"json second", map[string]string{json: `{"chat_template": "b"}`, config: `{"chat_template": "c"}`}, "b", nil, ""},
		{"config third", map[string]string{config: `{"bos_token": null, "chat_template": "c"}`}, "c", nil, ""},
		{"null is none", map[string]string{json: `{"chat_template": null}`, config: `{"chat_template": "c"}`}, "c", nil, ""},
		{"list", map[string]string{config: `{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}`}, "d", nil, ""},
		{"list of one", map[string]string{config: `{"chat_template": [{"name": "rag", "template": "r"}]}`}, "r", nil, ""},
		{"list without default", map[string]string{config: `{"chat_template": [{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t"}]}`}, "",
			ErrUnsupported, `tokenizer_config.json: unsupported chat template: chat_template lists ["rag" "tool_use"], none named "default"`},
		{"number", map[string]string{config: `{"chat_template": 7}`}, "", ErrMalformed, "neither a string nor a list"},
		{"no JSON", map[string]string{json: `{`}, "", ErrMalformed, "chat_template.json: malformed chat template: unexpected end of JSON input"},
		{"no Jinja", map[string]string{json: `{"chat_template": "a\n{% if %}"}`}, "", ErrMalformed, "chat_template.json:2: malformed chat template: "},
		{"too long", map[string]string{config: strings.Repeat(" ", maxFile) + "{}"}, "", ErrLimit, "more than 16777216 bytes"},
		{"none", map[string]string{config: `{"model_max_length": 7}`}, "", fs.ErrNotExist, "no chat template in chat_template.jinja, chat_template.json or tokenizer_config.json"},
		{"empty folder", nil, "", fs.ErrNotExist, "no chat template in chat_template.jinja"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := ""
			tpl, err := Load(dir)
			if err == nil {
				got, err = tpl.Render(nil, Options{})
			}
			if got != c.want || !errors.Is(err, c.kind) {
				t.Errorf("got %q, error %v; want %q, error %v", got, err, c.want, c.kind)
			}
			if c.kind != nil && (!strings.Contains(err.Error(), c.text) || !strings.HasPrefix(err.Error(), dir)) {
				t.Errorf("error %q, want %q", err, c.text)
			}
		})
	}
}

func TestUnknownPart(t *testing.T) {
	_, err := Default().Render([]Message{{Role: "user"}, {Role: "user", Parts: []Part{{Text: "a"}, {Kind: 9}}}}, Options{})
	if err == nil || err.Error() != "message 2: part 2: unknown kind 9" {
		t.Errorf("error %v", err)
	}
}

// TestTogether renders one template from many goroutines, for the race detector.
func TestTogether(t *testing.T) {
	tpl := readTemplate(t, "testdata/features.jinja")
	msgs := []Message{{Role: "user", Parts: []Part{{Kind: Image}, {Text: "Hi"}}}}
	want, err := tpl.Render(msgs, Options{Now: recordedAt})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got, err := tpl.Render(msgs, Options{Now: recordedAt}); got != want || err != nil {
					t.Errorf("got %q, error %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkRender(b *testing.B) {
	tpl := Default()
	msgs := []Message{{Role: "user", Parts: []Part{{Kind: Image}, {Text: "What is in the picture?"}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Render(msgs, Options{AddGenerationPrompt: true}); err != nil {
			b.Fatal(err)
		}
	}
}
