package tests

import (
	"context"
	"errors"
	"testing"

	"mnnconv/models"
	"mnnconv/models/picture"
)

// said is an answer as a turn.
func said(text string) models.Turn {
	return models.Turn{Role: "assistant", Parts: []models.Part{{Text: text}}}
}

// TestReuse holds a conversation of several pictures in one session that goes on
// from what it holds, and in another that reads all of it each time: they say the
// same, and the first reads what is new alone.
func TestReuse(t *testing.T) {
	o := options("vision=sim:0,llm=sim:1")
	dir := Export(t, "tjs-fp16")
	keeps, rereads := chat(t, dir, o), chat(t, dir, o)
	var turns []models.Turn
	ask := func(c Conversation) (kept, whole *models.Answer) {
		t.Helper()
		turns = append(turns, c.Asking(t).Turns...)
		set := greedy
		set.Most = 12
		whole, err := rereads.Ask(context.Background(), models.Question{Turns: turns}, set)
		if err != nil {
			t.Fatal(err)
		}
		set.Reuse = true
		if kept, err = keeps.Ask(context.Background(), models.Question{Turns: turns}, set); err != nil {
			t.Fatal(err)
		}
		if kept.Text != whole.Text {
			t.Errorf("%s: %q, read whole %q", c.Name, kept.Text, whole.Text)
		}
		turns = append(turns, said(kept.Text))
		return kept, whole
	}
	prompt := 0
	for i, c := range Conversations(t)[:4] {
		kept, whole := ask(c)
		if whole.Stats.ReusedTokens != 0 {
			t.Errorf("%s: %d tokens reused, unasked", c.Name, whole.Stats.ReusedTokens)
		}
		if i > 0 && kept.Stats.ReusedTokens < prompt {
			t.Errorf("%s: %d tokens reused, the turn before had %d", c.Name, kept.Stats.ReusedTokens, prompt)
		}
		prompt = kept.PromptTokens
	}

	// What was cut off is read again, and another picture in the same place too.
	ctx, cancel := context.WithCancel(context.Background())
	stop := greedy
	stop.Reuse = true
	stop.OnText = func(string) error { cancel(); return nil }
	if _, err := keeps.Ask(ctx, models.Question{Turns: append(turns, models.Asking("Go on.").Turns...)}, stop); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped in the middle: %v", err)
	}
	list := Conversations(t)
	other := list[0]
	other.Files = list[1].Files
	turns = nil
	ask(list[0])
	turns = nil
	kept, _ := ask(other)
	if kept.Stats.ReusedTokens >= kept.PromptTokens/2 {
		t.Errorf("%d of %d tokens reused before another picture", kept.Stats.ReusedTokens, kept.PromptTokens)
	}
}

// BenchmarkLaterTurn asks again about six photos that the state holds.
func BenchmarkLaterTurn(b *testing.B) {
	s := chat(b, Export(b, "tjs-fp16"), options(""))
	var photos []models.Media
	for i := range 6 {
		photo := &picture.RGB{Width: 1920, Height: 1080, Pix: make([]uint8, 3*1920*1080)}
		for at := range photo.Pix {
			photo.Pix[at] = uint8(at * (i + 1) >> 4)
		}
		photos = append(photos, models.Media{Frames: []*picture.RGB{photo}})
	}
	set := greedy
	set.Most, set.Reuse = 1, true
	q := models.Asking("What is this?", photos...)
	if _, err := s.Ask(context.Background(), q, set); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Ask(context.Background(), q, set); err != nil {
			b.Fatal(err)
		}
	}
}
