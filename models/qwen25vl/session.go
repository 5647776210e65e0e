package qwen25vl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/runtime"
	"mnnconv/runtime/trace"
)

// ErrPrompt: a question cannot be answered as it is asked: too long for the
// context, or pictures and their marks do not fit together.
var ErrPrompt = errors.New("prompt")

// Session answers questions over one state, one at a time.
type Session struct {
	m        *Model
	encode   models.Runner                // nil without a vision tower
	extend   models.Runner                // nil without a decoder
	feeder   *feeder                      // nil: extend is no models.Feeder, or its plan does not allow it
	own      []interface{ Close() error } // what the session made, the first of them last to go
	arenas   *runtime.Arenas              // nil where others run the phases
	capacity int
	scores   scores  // of the last run of extend
	step     *step   // of decoding, made once
	check    *step   // of decoding with a draft, made once
	draft    []int32 // the last one
	held     []cell  // what the state holds, from its start
	trace    *trace.Recorder
}

// What the host does between runs, in traces.
var (
	preprocessLabel = trace.HostLabel("preprocess pictures")
	indexLabel      = trace.HostLabel("vision inputs")
	gatherLabel     = trace.HostLabel("gather image rows")
	promptLabel     = trace.HostLabel("tokenize prompt")
	fillLabel       = trace.HostLabel("decoder inputs")
	logitsLabel     = trace.HostLabel("widen logits")
	sampleLabel     = trace.HostLabel("sample")
	textLabel       = trace.HostLabel("detokenize")
	releaseLabel    = trace.HostLabel("release session")
	rateLabel       = &trace.Label{Name: "tokens/s"}
)

// NewSession makes a session. Its memory is laid out for a prompt as long as the
// whole context.
func (m *Model) NewSession(executors map[string]*runtime.Executor, o models.SessionOptions) (models.Session, error) {
	o.Slots = 1
	s, err := m.newSession(executors, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// newSession makes a session whose states are those of o.Slots conversations.
func (m *Model) newSession(executors map[string]*runtime.Executor, o models.SessionOptions) (*Session, error) {
	bounds, capacity, err := m.Bounds(o)
	if err != nil {
		return nil, err
	}
	s := &Session{m: m, capacity: capacity, trace: o.Trace}
	defer func() { s.scores = scores{x: m.extend, run: s.extend, trace: s.trace, again: s.again} }()
	if o.Runners != nil {
		s.encode, s.extend = o.Runners["encode"], o.Runners["extend"]
		return s, nil
	}
	var used []*runtime.Executor
	for _, ph := range m.Phases() {
		used = append(used, executors[ph.Name])
	}
	if s.arenas, err = runtime.NewArenas(bounds, used...); err != nil {
		return nil, err
	}
	s.own = append(s.own, s.arenas)
	start := func(phase string, states runtime.States) models.Runner {
		run := executors[phase].NewSession(states, s.arenas, o.Schedule)
		run.Check(o.Checks)
		s.own = append(s.own, run)
		if o.Wrap != nil {
			return o.Wrap(phase, run)
		}
		return run
	}
	if m.extend != nil {
		states, err := executors["extend"].NewStates(bounds["extend"])
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.own = append(s.own, states)
		s.extend = start("extend", states)
		s.feeder = m.extend.feeder(s.extend)
	}
	if m.encode != nil {
		s.encode = start("encode", nil)
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
func (s *Session) Memory() []runtime.Need {
	if s.arenas == nil {
		return nil
	}
	return s.arenas.Needs()
}

// defaultCapacity is the context of a session whose caller names none, where the
// model allows more.
const defaultCapacity = 4096

// Close releases launches and states.
func (s *Session) Close() error {
	defer s.trace.Begin(releaseLabel).End()
	var errs []error
	for _, c := range slices.Backward(s.own) {
		errs = append(errs, c.Close())
	}
	s.own = nil
	return errors.Join(errs...)
}

// Encode runs the vision tower over pixel values and returns image rows [rows,
// width]; the tensor is valid until the next call.
func (s *Session) Encode(ctx context.Context, pixels []float32, grid Grid) (*graph.Tensor, error) {
	if s.encode == nil {
		return nil, s.blind()
	}
	filling := s.trace.Begin(indexLabel)
	ins, err := s.m.encode.fill(pixels, grid)
	filling.End()
	if err != nil {
		return nil, err
	}
	outs, err := s.encode.Run(ctx, ins)
	if err != nil {
		return nil, err
	}
	return outs[0], nil
}

func (s *Session) blind() error {
	return fmt.Errorf("%w: %s has no vision tower and cannot look at pictures", ErrPrompt, s.m.Dir)
}

// look encodes the media of a prompt that stand at token from or behind it, into
// its rows.
func (s *Session) look(ctx context.Context, p *Prompt, from int) error {
	for _, x := range p.media {
		if x.start < from {
			continue
		}
		if err := s.lookAt(ctx, p, x); err != nil {
			return err
		}
	}
	return nil
}

// lookAt encodes one medium of a prompt, behind those whose rows are there.
func (s *Session) lookAt(ctx context.Context, p *Prompt, x *medium) error {
	t, err := s.Encode(ctx, x.pixels, x.grid)
	if err != nil {
		return err
	}
	defer s.trace.Begin(gatherLabel).End()
	var before graph.Tensor
	if p.rows != nil {
		before = *p.rows
	} else {
		before.Shape = []int64{0}
	}
	p.rows = &graph.Tensor{DType: t.DType, Shape: []int64{before.Shape[0] + t.Shape[0], t.Shape[1]}, Data: append(before.Data, t.Data...)}
	return nil
}

// Prompt is a tokenised prompt with its positions and image rows.
type Prompt struct {
	IDs       []int32
	positions [3][]int64
	next      int64
	rows      *graph.Tensor // nil: none
	rowsAt    []int64       // token of each row
	media     []*medium     // of a conversation: where its rows come from
	cells     []cell        // of a conversation; nil: what the state will hold of it is not known
}

// whole moves a place in a prompt that lies inside a medium to its start.
func (m *Model) whole(p *Prompt, at int) int {
	for _, x := range p.media {
		if x.start < at && at < x.start+int(m.rows(x.grid)) {
			return x.start
		}
	}
	return at
}

// after is what is left of a prompt behind its first n tokens. Media lie on one
// side or the other.
func (p *Prompt) after(n int) *Prompt {
	if n == 0 {
		return p
	}
	rest := *p
	rest.IDs = p.IDs[n:]
	for a := range p.positions {
		rest.positions[a] = p.positions[a][n:]
	}
	rest.rowsAt = nil
	for _, at := range p.rowsAt {
		if at >= int64(n) {
			rest.rowsAt = append(rest.rowsAt, at-int64(n))
		}
	}
	return &rest
}

// endsInText tells whether the last token is a text's, whose position is the same on all
// axes, one before the next.
func (p *Prompt) endsInText() bool {
	last := len(p.IDs) - 1
	return !slices.Contains(p.rowsAt, int64(last)) &&
		!slices.ContainsFunc(p.positions[:], func(axis []int64) bool { return axis[last] != p.next-1 })
}

// between is the tokens from a to b of a prompt whose image rows are those of the
// tokens from start on.
func (p *Prompt) between(start, a, b int) *Prompt {
	piece := &Prompt{IDs: p.IDs[a:b]}
	for axis := range p.positions {
		piece.positions[axis] = p.positions[axis][a:b]
	}
	first, count := 0, 0
	for _, at := range p.rowsAt {
		switch {
		case at >= int64(start) && at < int64(a):
			first++
		case at >= int64(a) && at < int64(b):
			piece.rowsAt = append(piece.rowsAt, at-int64(a))
			count++
		}
	}
	if p.rows != nil && count > 0 {
		row := len(p.rows.Data) / int(p.rows.Shape[0])
		piece.rows = &graph.Tensor{DType: p.rows.DType, Shape: []int64{int64(count), p.rows.Shape[1]}, Data: p.rows.Data[first*row:][:count*row]}
	}
	return piece
}

// turn is one question on its way to its answer.
type turn struct {
	set     models.Settings
	sampler *generate.Sampler
	begin   time.Time
	stats   models.Stats
}

func (s *Session) newTurn(set models.Settings) (*turn, error) {
	if err := s.m.generates(); err != nil {
		return nil, err
	}
	sampler, err := generate.NewSampler(set.Sampling, int(s.m.extend.vocabulary))
	return &turn{set: set, sampler: sampler, begin: time.Now()}, err
}

// Ask answers a conversation's last turn: from an empty state, or from what the
// state holds of it.
func (s *Session) Ask(ctx context.Context, q models.Question, set models.Settings) (*models.Answer, error) {
	p, t, err := s.prepare(q, set)
	if err != nil {
		return nil, err
	}
	return s.answer(ctx, p, t)
}

// prepare makes a question's prompt.
func (s *Session) prepare(q models.Question, set models.Settings) (*Prompt, *turn, error) {
	if err := s.m.answers(); err != nil {
		return nil, nil, err
	}
	t, err := s.newTurn(set)
	if err != nil {
		return nil, nil, err
	}
	if s.encode == nil && q.HasMedia() {
		return nil, nil, s.blind()
	}
	preparing := s.trace.Begin(preprocessLabel)
	media, err := s.m.prepareAll(q, s.capacity)
	preparing.End()
	if err != nil {
		return nil, nil, err
	}
	t.stats.Preprocess = time.Since(t.begin)
	wording := s.trace.Begin(promptLabel)
	p, err := s.m.prompt(q, media)
	wording.End()
	if err != nil {
		return nil, nil, err
	}
	t.stats.ImageTokens = len(p.rowsAt)
	return p, t, nil
}

// room is how many tokens the answer of a prompt may have.
func (s *Session) room(p *Prompt, t *turn) (int, error) {
	if len(p.IDs) >= s.capacity {
		if t.stats.ImageTokens == 0 {
			return 0, fmt.Errorf("%w: it has %d tokens, the context has room for %d: shorten it, or use a larger -c", ErrPrompt, len(p.IDs), s.capacity)
		}
		return 0, fmt.Errorf("%w: it has %d tokens (%d of pictures), the context has room for %d: use fewer or smaller pictures (--max-pixels) or a larger -c",
			ErrPrompt, len(p.IDs), t.stats.ImageTokens, s.capacity)
	}
	left := s.capacity - len(p.IDs)
	if most := t.set.Most; most > 0 && most < left {
		return most, nil
	}
	return left, nil
}

// telling turns an answer's tokens into its text.
type telling struct {
	push  func(id int32) error // ErrEnough: the listener has heard enough
	flush func() error         // says what is left at the end
}

func (s *Session) telling(a *models.Answer, set models.Settings) telling {
	push, flush := func(int32) string { return "" }, func() string { return "" } // without words
	if s.m.Tokenizer != nil {
		stream := s.m.Tokenizer.Stream(true)
		push, flush = stream.Push, stream.Flush
	}
	say := func(text string) error {
		defer s.trace.Begin(textLabel).End()
		a.Text += text
		if text == "" || set.OnText == nil {
			return nil
		}
		return set.OnText(text)
	}
	return telling{func(id int32) error { return say(push(id)) }, func() error { return say(flush()) }}
}

// answer generates what follows a prompt. What the state then holds is known if the
// prompt's cells are.
func (s *Session) answer(ctx context.Context, p *Prompt, t *turn) (a *models.Answer, err error) {
	most, err := s.room(p, t)
	if err != nil {
		return nil, err
	}
	from := s.m.shared(s.held, p, t)
	if err := s.process(p, from, t); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := s.look(ctx, p, from); err != nil {
		return nil, err
	}
	t.stats.Encode += time.Since(start)
	t.stats.PromptTokens, t.stats.ReusedTokens = len(p.IDs), from
	start = time.Now()
	whole := t.sampler.Whole()
	if err := s.prefill(ctx, p.after(from), from, whole); err != nil {
		return nil, err
	}
	if p.cells != nil {
		s.held = append(s.held, p.cells[from:]...)
	}
	t.stats.Prefill = time.Since(start)
	feeds := s.feeder != nil && t.sampler.Greedy()
	if feeds {
		defer func() {
			if late := s.feeder.settle(); err == nil {
				err = late
			}
		}()
	}
	a = &models.Answer{PromptTokens: len(p.IDs)}
	history := append([]int32{}, p.IDs...)
	stops := generate.Stops{IDs: s.m.Generate.EOS}
	text := s.telling(a, t.set)
	start = time.Now()
	var draft []int32         // tokens that the last run took behind the answer's own
	row := s.scores.count - 1 // of the scores: the next token's
	began := start
	for i := 0; ; i++ {
		id, err := s.scores.next(ctx, t.sampler, row, history)
		if err != nil {
			return nil, fmt.Errorf("token %d of the answer: %w", i+1, err)
		}
		if t.stats.Decoded = i; i == 0 {
			t.stats.FirstToken = time.Since(t.begin)
		}
		if stops.Has(id) {
			break
		}
		a.Tokens = append(a.Tokens, id)
		history = append(history, id)
		if err := text.push(id); errors.Is(err, models.ErrEnough) {
			break
		} else if err != nil {
			return nil, err
		}
		if a.Cut = len(a.Tokens) >= most; a.Cut {
			break
		}
		switch {
		case row < len(draft) && draft[row] == id: // the run took it already
			row++
			t.stats.Accepted++
		case feeds:
			s.trace.Count(rateLabel, 1/time.Since(began).Seconds())
			began, row = time.Now(), 0
			if err := s.decodeAhead(ctx, id, len(history)-1, p.next+int64(i), len(a.Tokens)+1 < most); err != nil {
				return nil, err
			}
		default:
			s.trace.Count(rateLabel, float64(row+1)/time.Since(began).Seconds())
			began = time.Now()
			draft, row = s.drafted(history), 0
			t.stats.Drafted += len(draft)
			if err := s.decode(ctx, id, draft, len(history)-1, p.next+int64(i), whole); err != nil {
				return nil, err
			}
		}
		if p.cells != nil {
			s.held = append(s.held, cell{id: id})
		}
	}
	if err := text.flush(); err != nil && !errors.Is(err, models.ErrEnough) {
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
	if err := s.prefill(ctx, p, past, true); err != nil {
		return nil, err
	}
	return s.scores.row(ctx, s.scores.count-1)
}

// prefill runs the decoder over a prompt, of whose last token the scores are then;
// whole says that all of them will be asked for.
func (s *Session) prefill(ctx context.Context, p *Prompt, past int, whole bool) error {
	if s.extend == nil {
		return fmt.Errorf("%s: %w: the folder has a vision tower alone", s.m.Dir, ErrMissing)
	}
	s.held = s.held[:min(past, len(s.held))] // whatever happens now, the rest is overwritten
	filling := s.trace.Begin(fillLabel)
	ins, err := s.m.extend.fill(p, past)
	filling.End()
	if err != nil {
		return err
	}
	s.extend.Part("prefill", int64(past+len(p.IDs)))
	return s.scores.take(ctx, ins, whole)
}

// decode runs a token that is number past of the conversation, and a draft behind
// it, which stays in the state: the next run overwrites what was wrong. There are
// scores of each then.
func (s *Session) decode(ctx context.Context, id int32, draft []int32, past int, position int64, whole bool) error {
	at := &s.step
	if len(draft) > 0 {
		at = &s.check
	}
	if *at == nil {
		*at = s.m.extend.newStep(1 + len(draft))
	}
	(*at).set(id, draft, past, position)
	s.extend.Part("decode", int64(past+1+len(draft)))
	return s.scores.take(ctx, (*at).ins, whole)
}
