package chat

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// recordedAt is the time that record.py told templates.
var recordedAt = time.Date(2025, 3, 7, 16, 5, 9, 0, time.UTC)

// recorded is what testdata/record.py printed: conversations as Jinja 3.1.6 renders them under transformers' settings.
type recorded struct {
	Name     string
	Messages []struct {
		Role  string
		Parts []part
	}
	Prompt   bool              `json:"add_generation_prompt"`
	VisionID bool              `json:"add_vision_id"`
	Want     map[string]string // by template
}

type part Part

// UnmarshalJSON reads a text, {"image": true} or {"video": true}.
func (p *part) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &p.Text)
	}
	var is struct{ Image, Video bool }
	err := json.Unmarshal(data, &is)
	switch {
	case is.Image:
		p.Kind = Image
	case is.Video:
		p.Kind = Video
	}
	return err
}

func (r *recorded) messages() []Message {
	var msgs []Message
	for _, m := range r.Messages {
		msg := Message{Role: m.Role}
		for _, p := range m.Parts {
			msg.Parts = append(msg.Parts, Part(p))
		}
		msgs = append(msgs, msg)
	}
	return msgs
}

func readRecorded(t *testing.T) []recorded {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []recorded }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

func readTemplate(t *testing.T, path string) *Template {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := New(path, string(source))
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func TestEqualsJinja(t *testing.T) {
	cases := readRecorded(t)
	for name, tpl := range map[string]*Template{
		"tinyvl":     readTemplate(t, "testdata/tinyvl.jinja"),
		"features":   readTemplate(t, "testdata/features.jinja"),
		"qwen2.5-vl": Default(), // recorded from the published template, which Default stands in for
	} {
		n := 0
		for _, c := range cases {
			want, ok := c.Want[name]
			if !ok {
				continue
			}
			n++
			got, err := tpl.Render(c.messages(), Options{
				AddGenerationPrompt: c.Prompt, AddVisionID: c.VisionID, BOS: "<s>", EOS: "</s>",
				Now: recordedAt,
			})
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.Name, err)
			} else if got != want {
				t.Errorf("%s, %s, prompt %v, ids %v:\ngot  %q\nwant %q", name, c.Name, c.Prompt, c.VisionID, got, want)
			}
		}
		if n < 100 {
			t.Errorf("%s: only %d conversations recorded", name, n)
		}
	}
}
