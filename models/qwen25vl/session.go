package qwen25vl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/runtime"
)

// ErrPrompt: a question cannot be answered as it is asked: too long for the
// context, or pictures and their marks do not fit together.
var ErrPrompt = errors.New("prompt")

// Session answers questions over one state, one at a time.
type Session struct {
	m        *Model
	encode   *runtime.Session // nil without a vision tower
	extend   *runtime.Session
	states   runtime.States
	arenas   *runtime.Arenas
	capacity int
	step     *step // of decoding, made once
}

// NewSession makes a session. Its memory is laid out for a prompt as long as the
// whole context.
func (m *Model) NewSession(executors map[string]*runtime.Executor, o models.SessionOptions) (models.Session, error) {
	bounds, capacity, err := m.Bounds(o)
	if err != nil {
		return nil, err
	}
	s := &Session{m: m, capacity: capacity}
	var used []*runtime.Executor
	for _, ph := range m.Phases() {
		used = append(used, executors[ph.Name])
	}
	if s.arenas, err = runtime.NewArenas(bounds, used...); err != nil {
		return nil, err
	}
	if s.states, err = executors["extend"].NewStates(graph.Env{"capacity": int64(capacity)}); err != nil {
		return nil, errors.Join(err, s.arenas.Close())
	}
	s.extend = executors["extend"].NewSession(s.states, s.arenas, o.Schedule)
	s.extend.Check(o.Checks)
	if m.encode != nil {
		s.encode = executors["encode"].NewSession(nil, s.arenas, o.Schedule)
		s.encode.Check(o.Checks)
	}
	return s, nil
}

// capacity is the context of a session, in tokens, where asked are asked for (0:
// nobody says).
func (m *Model) capacity(asked int) int {
	switch most := m.Config.MaxPositions; {
	case asked > 0:
		return asked
	case most == 0 || most > defaultCapacity:
		return min(max(most, 2048), defaultCapacity)
	default:
		return most
	}
}

// Memory lists what the phases need.
func (s *Session) Memory() []runtime.Need { return s.arenas.Needs() }

// defaultCapacity is the context of a session whose caller names none, where the
// model allows more.
const defaultCapacity = 4096

// Close releases launches and states.
func (s *Session) Close() error {
	var errs []error
	if s.encode != nil {
		errs = append(errs, s.encode.Close())
	}
	return errors.Join(append(errs, s.extend.Close(), s.states.Close(), s.arenas.Close())...)
}

// visionRows are the image rows of all media of a question, in the order of the prompt.
type visionRows struct {
	tensor *graph.Tensor // [rows, width]
	spans  []span        // start is filled in when the prompt is known
}

// Encode runs the vision tower over pixel values and returns image rows [rows,
// width]; the tensor is valid until the next call.
func (s *Session) Encode(ctx context.Context, pixels []float32, grid Grid) (*graph.Tensor, error) {
	if s.encode == nil {
		return nil, fmt.Errorf("%w: %s has no vision tower and cannot look at pictures", ErrPrompt, s.m.Dir)
	}
	ins, err := s.m.encode.fill(pixels, grid)
	if err != nil {
		return nil, err
	}
	outs, err := s.encode.Run(ctx, ins)
	if err != nil {
		return nil, err
	}
	return outs[0], nil
}

// look preprocesses and encodes all media.
func (s *Session) look(ctx context.Context, media []models.Media, st *models.Stats) (*visionRows, error) {
	var r visionRows
	var data []byte
	total := int64(0)
	for _, m := range media {
		start := time.Now()
		cfg := s.m.Pictures
		var pixels []float32
		var g [3]int64
		var err error
		if m.Video {
			pixels, g, err = picture.ProcessVideo(cfg, m.Frames)
		} else {
			pixels, g, err = picture.Process(cfg, m.Frames[0])
		}
		if err != nil {
			return nil, err
		}
		st.Preprocess += time.Since(start)
		start = time.Now()
		grid := Grid{g[0], g[1], g[2]}
		if n := total + grid.Patches()/(s.m.Config.Merge*s.m.Config.Merge); n >= int64(s.capacity) {
			return nil, fmt.Errorf("%w: its pictures need %d tokens or more, the context has room for %d: use fewer or smaller pictures (--max-pixels) or a larger -c",
				ErrPrompt, n, s.capacity)
		}
		t, err := s.Encode(ctx, pixels, grid)
		if err != nil {
			return nil, err
		}
		st.Encode += time.Since(start)
		sp := span{grid: grid}
		if m.Video {
			sp.second = float64(cfg.TemporalPatch) / m.FPS
		}
		r.spans = append(r.spans, sp)
		data = append(data, t.Data...)
		total += t.Shape[0]
		r.tensor = &graph.Tensor{DType: t.DType, Shape: []int64{total, t.Shape[1]}, Data: data}
	}
	st.ImageTokens = int(total)
	return &r, nil
}

// Prompt is a tokenised prompt with its positions and image rows.
type Prompt struct {
	IDs       []int32
	positions [3][]int64
	next      int64
	rows      *graph.Tensor // nil: none
	rowsAt    []int64       // token of each row
}

// turn is one question on its way to its answer.
type turn struct {
	set     models.Settings
	sampler *generate.Sampler
	begin   time.Time
	stats   models.Stats
}

func (s *Session) newTurn(set models.Settings) (*turn, error) {
	sampler, err := generate.NewSampler(set.Sampling, int(s.m.extend.vocabulary))
	return &turn{set: set, sampler: sampler, begin: time.Now()}, err
}

// Ask answers one question, from an empty state.
func (s *Session) Ask(ctx context.Context, q models.Question, set models.Settings) (*models.Answer, error) {
	t, err := s.newTurn(set)
	if err != nil {
		return nil, err
	}
	r, err := s.look(ctx, q.Media, &t.stats)
	if err != nil {
		return nil, err
	}
	p, err := s.m.prompt(q.Text, q.Media, r)
	if err != nil {
		return nil, err
	}
	return s.answer(ctx, p, t)
}

// answer generates what follows a prompt, from an empty state.
func (s *Session) answer(ctx context.Context, p *Prompt, t *turn) (*models.Answer, error) {
	if len(p.IDs) >= s.capacity {
		return nil, fmt.Errorf("%w: it has %d tokens (%d of pictures), the context has room for %d: use fewer or smaller pictures (--max-pixels) or a larger -c",
			ErrPrompt, len(p.IDs), t.stats.ImageTokens, s.capacity)
	}
	most := t.set.Most
	if most <= 0 || most > s.capacity-len(p.IDs) {
		most = s.capacity - len(p.IDs)
	}
	t.stats.PromptTokens = len(p.IDs)
	start := time.Now()
	logits, err := s.Extend(ctx, p, 0)
	if err != nil {
		return nil, err
	}
	t.stats.Prefill = time.Since(start)
	a := &models.Answer{PromptTokens: len(p.IDs)}
	history := append([]int32{}, p.IDs...)
	stops := generate.Stops{IDs: s.m.Generate.EOS}
	stream := s.m.Tokenizer.Stream(true)
	say := func(text string) error {
		a.Text += text
		if text == "" || t.set.OnText == nil {
			return nil
		}
		return t.set.OnText(text)
	}
	start = time.Now()
	for i := 0; ; i++ {
		id, err := t.sampler.Next(logits, history)
		if err != nil {
			return nil, fmt.Errorf("token %d of the answer: %w", i+1, err)
		}
		if i == 0 {
			t.stats.FirstToken = time.Since(t.begin)
		}
		if stops.Has(id) {
			break
		}
		a.Tokens = append(a.Tokens, id)
		history = append(history, id)
		if err := say(stream.Push(id)); err != nil {
			return nil, err
		}
		if len(a.Tokens) >= most {
			break
		}
		if logits, err = s.decode(ctx, id, len(history)-1, p.next+int64(i)); err != nil {
			return nil, err
		}
	}
	if err := say(stream.Flush()); err != nil {
		return nil, err
	}
	t.stats.Decode = time.Since(start)
	t.stats.Tokens = len(a.Tokens)
	a.Stats = t.stats
	return a, nil
}

// Extend runs the decoder over a prompt whose first token is number past of the
// conversation, and returns the logits of its last token, valid until the next
// call.
func (s *Session) Extend(ctx context.Context, p *Prompt, past int) ([]float32, error) {
	ins, err := s.m.extend.fill(p, past)
	if err != nil {
		return nil, err
	}
	outs, err := s.extend.Run(ctx, ins)
	if err != nil {
		return nil, err
	}
	return outs[0].Float32s()
}

// decode runs one token that is number past of the conversation.
func (s *Session) decode(ctx context.Context, id int32, past int, position int64) ([]float32, error) {
	if s.step == nil {
		s.step = s.m.extend.newStep()
	}
	s.step.set(id, past, position)
	outs, err := s.extend.Run(ctx, s.step.ins)
	if err != nil {
		return nil, err
	}
	return outs[0].Float32s()
}
