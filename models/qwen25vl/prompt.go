package qwen25vl

import (
	"fmt"

	"mnnconv/models"
	"mnnconv/models/chat"
)

// prompt renders a question about media with the chat template and tokenises it.
// Each picture's or video's mark becomes as many tokens as it has rows. Text typed
// by a user never becomes a special token.
func (m *Model) prompt(question string, media []models.Media, r *visionRows) (*Prompt, error) {
	var parts []chat.Part
	for _, x := range media {
		kind := chat.Image
		if x.Video {
			kind = chat.Video
		}
		parts = append(parts, chat.Part{Kind: kind})
	}
	parts = append(parts, chat.Part{Kind: chat.Text, Text: m.Tokenizer.Guard(question)})
	text, err := m.Template.Render([]chat.Message{{Role: "user", Parts: parts}}, chat.Options{AddGenerationPrompt: true})
	if err != nil {
		return nil, err
	}
	ids, err := m.Tokenizer.EncodeGuarded(text)
	if err != nil {
		return nil, err
	}
	return m.place(ids, r)
}

// place repeats each image or video token for its rows and computes positions.
func (m *Model) place(ids []int32, r *visionRows) (*Prompt, error) {
	p := &Prompt{rows: r.tensor}
	k := 0
	for _, id := range ids {
		if id != m.Config.ImageToken && id != m.Config.VideoToken {
			p.IDs = append(p.IDs, id)
			continue
		}
		if k == len(r.spans) {
			return nil, fmt.Errorf("%w: the template marks more than the %d pictures given", ErrPrompt, len(r.spans))
		}
		s := &r.spans[k]
		k++
		s.start = len(p.IDs)
		n := s.grid.Patches() / (m.Config.Merge * m.Config.Merge)
		for i := range n {
			p.rowsAt = append(p.rowsAt, int64(s.start)+i)
			p.IDs = append(p.IDs, id)
		}
	}
	if k != len(r.spans) {
		return nil, fmt.Errorf("%w: the template marks %d pictures, %d are given", ErrPrompt, k, len(r.spans))
	}
	var err error
	p.positions, p.next, err = positions3(len(p.IDs), r.spans, m.Config.Merge, m.Config.TokensPerSecond)
	return p, err
}
