package qwen25vl

import (
	"fmt"

	"mnnconv/models"
	"mnnconv/models/chat"
)

// prompt renders a conversation with the chat template and tokenises it; media are
// those of its turns, in order. Each picture's or video's mark becomes as many
// tokens as it has rows. Text typed by a user never becomes a special token.
func (m *Model) prompt(q models.Question, media []*medium) (*Prompt, error) {
	var turns []chat.Message
	for _, t := range q.Turns {
		msg := chat.Message{Role: t.Role}
		for _, p := range t.Parts {
			switch {
			case p.Media == nil:
				msg.Parts = append(msg.Parts, chat.Part{Kind: chat.Text, Text: m.Tokenizer.Guard(p.Text)})
			case p.Media.Video:
				msg.Parts = append(msg.Parts, chat.Part{Kind: chat.Video})
			default:
				msg.Parts = append(msg.Parts, chat.Part{Kind: chat.Image})
			}
		}
		turns = append(turns, msg)
	}
	text, err := m.Template.Render(turns, chat.Options{AddGenerationPrompt: true})
	if err != nil {
		return nil, err
	}
	ids, err := m.Tokenizer.EncodeGuarded(text)
	if err != nil {
		return nil, err
	}
	return m.place(ids, media)
}

// place repeats each image or video token for its rows and computes positions.
func (m *Model) place(ids []int32, media []*medium) (*Prompt, error) {
	p := &Prompt{cells: []cell{}}
	var spans []span
	for _, id := range ids {
		if id != m.Config.ImageToken && id != m.Config.VideoToken {
			p.IDs = append(p.IDs, id)
			p.cells = append(p.cells, cell{id: id})
			continue
		}
		if len(p.media) == len(media) {
			return nil, fmt.Errorf("%w: the template marks more than the %d pictures given", ErrPrompt, len(media))
		}
		x := *media[len(p.media)]
		x.start = len(p.IDs)
		p.media = append(p.media, &x)
		spans = append(spans, x.span)
		for i := range m.rows(x.grid) {
			p.rowsAt = append(p.rowsAt, int64(x.start)+i)
			p.IDs = append(p.IDs, id)
			p.cells = append(p.cells, cell{id, x.content})
		}
	}
	if len(p.media) != len(media) {
		return nil, fmt.Errorf("%w: the template marks %d pictures, %d are given", ErrPrompt, len(p.media), len(media))
	}
	var err error
	p.positions, p.next, err = positions3(len(p.IDs), spans, m.Config.Merge, m.Config.TokensPerSecond)
	return p, err
}

// rows is the number of tokens of a picture or video.
func (m *Model) rows(g Grid) int64 { return g.Patches() / (m.Config.Merge * m.Config.Merge) }
