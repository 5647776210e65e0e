package qwen25vl

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/runtime"
)

const (
	// maxChunk is how many tokens of a prompt run between two steps of the others.
	maxChunk = 256
	// maxRows is how many sequences a step has: a row's bits do not depend on how many
	// rows travel with it up to this.
	maxRows = 16
	// slotAlign is what the rows of a slot's state are a multiple of, so that each slot
	// starts where any device can address it.
	slotAlign = 64
)

// Batches reports whether a run takes several sequences.
func (m *Model) Batches() bool {
	return m.extend != nil && m.extend.takes(graph.Sym(batched))
}

// NewSlots makes o.Slots sessions that share memory and, where the graph takes several
// sequences, their decode steps: all of them, or with o.Lanes those of each lane. Each
// may be asked at the same time as the others. Close all of them.
func (m *Model) NewSlots(executors map[string]*runtime.Executor, o models.SessionOptions) ([]models.Session, error) {
	n := max(1, o.Slots)
	var out []models.Session
	if n > 1 && m.Batches() && m.extend.drafts == 0 && o.Wrap == nil {
		lanes, err := m.newLanes(executors, o)
		for i := range n { // neighbours in different lanes, so that a few questions use all
			if err == nil {
				out = append(out, &slot{lanes[i%len(lanes)], i / len(lanes)})
			}
		}
		return out, err
	}
	o.Slots = 1
	for range n {
		s, err := m.NewSession(executors, o)
		if err != nil {
			for _, s := range out {
				err = errors.Join(err, s.Close())
			}
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// batch runs the sequences of several slots over one state. One goroutine, its own,
// runs all there is to run: between two steps of the sequences that decode, one piece
// of a newcomer's prompt, which is a picture or a chunk.
type batch struct {
	s       *Session
	run     *runtime.Session // of extend
	slots   int
	lanes   []*batch // that run at the same time, this one among them
	holding sync.Mutex
	held    [][]cell      // of each slot: what its state holds. It is written by the batch's goroutine alone, with holding
	steps   map[int]*step // by their number of rows
	asked   chan *sequence
	stop    chan struct{}
	stopped sync.WaitGroup
	open    sync.Mutex
	users   int
	told    atomic.Pointer[func(rows int)] // of each step; nil: nobody
}

// sequence is a question on its way through a batch.
type sequence struct {
	ctx     context.Context
	slot    int
	prompt  *Prompt
	turn    *turn
	history []int32
	most    int
	media   []*medium  // still to be encoded
	pixels  chan int   // gets the token from which on media want pixel values, or is closed; nil: it was told
	from    int        // first token of the prompt that runs
	ends    []int      // of the chunks still to run
	next    int64      // position of the next token
	out     chan int32 // never full
	made    int
	cut     bool
	err     error // once out is closed
}

// newLanes makes the batches of o.Slots slots, and starts them.
func (m *Model) newLanes(executors map[string]*runtime.Executor, o models.SessionOptions) ([]*batch, error) {
	lanes := make([]*batch, o.LanesOf())
	for i := range lanes {
		s, err := m.newSession(executors, o)
		if err != nil {
			for _, b := range lanes[:i] {
				err = errors.Join(err, b.s.Close())
			}
			return nil, err
		}
		n := (o.Slots - i + len(lanes) - 1) / len(lanes)
		lanes[i] = &batch{s: s, run: s.extend.(*runtime.Session), slots: n, lanes: lanes, users: n, held: make([][]cell, n), steps: map[int]*step{},
			asked: make(chan *sequence, n), stop: make(chan struct{})}
	}
	for _, b := range lanes {
		b.stopped.Go(b.work)
	}
	return lanes, nil
}

// stateRows is the extent of the states of slots with room for capacity tokens.
func stateRows(capacity int) int64 {
	return (int64(capacity) + slotAlign - 1) / slotAlign * slotAlign
}

// slot is one of a batch's sessions.
type slot struct {
	b *batch
	i int
}

// Memory lists what all slots of a lane together need.
func (s *slot) Memory() []runtime.Need { return s.b.s.Memory() }

// OnStep has f told of how many slots each step is that follows, of this slot or others
// of its lane. Lanes tell at the same time.
func (s *slot) OnStep(f func(rows int)) { s.b.told.Store(&f) }

// Close closes the batch with the last of its slots.
func (s *slot) Close() error {
	b := s.b
	b.open.Lock()
	defer b.open.Unlock()
	if b.users--; b.users > 0 {
		return nil
	}
	close(b.stop)
	b.stopped.Wait()
	return b.s.Close()
}

// Ask answers a conversation's last turn.
func (s *slot) Ask(ctx context.Context, q models.Question, set models.Settings) (*models.Answer, error) {
	b := s.b
	p, t, err := b.s.prepare(q, set)
	if err != nil {
		return nil, err
	}
	most, err := b.s.room(p, t)
	if err != nil {
		return nil, err
	}
	from := b.s.m.shared(b.held[s.i], p, t) // between two questions nobody changes what a slot holds
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pixels := make(chan int, 1)
	x := &sequence{ctx: ctx, slot: s.i, prompt: p, turn: t, from: from, most: most, history: slices.Clone(p.IDs), next: p.next, out: make(chan int32, most), pixels: pixels}
	b.asked <- x
	if from, ok := <-pixels; ok { // no slot holds these: they are made here, while others run
		x.err = b.s.process(p, from, t)
		b.asked <- x
	}
	a := &models.Answer{PromptTokens: len(p.IDs)}
	text := b.s.telling(a, set)
	for id := range x.out {
		if err != nil {
			continue // what was made before the end was noticed
		}
		a.Tokens = append(a.Tokens, id)
		if err = text.push(id); err != nil {
			cancel()
		}
	}
	enough := errors.Is(err, models.ErrEnough)
	switch {
	case err != nil && !enough:
		return nil, err
	case x.err != nil && !enough:
		return nil, x.err
	}
	a.Cut = x.cut && !enough
	if err := text.flush(); err != nil && !errors.Is(err, models.ErrEnough) {
		return nil, err
	}
	t.stats.Tokens = len(a.Tokens)
	a.Stats = t.stats
	return a, nil
}

// work is the batch's goroutine.
func (b *batch) work() {
	var coming, decoding []*sequence
	over := func(x *sequence) bool {
		if x.err == nil {
			x.err = x.ctx.Err()
		}
		if x.err == nil && !x.cut && x.made >= 0 {
			return false
		}
		x.seen()
		close(x.out)
		return true
	}
	for {
		if len(coming)+len(decoding) == 0 {
			select {
			case x := <-b.asked:
				coming = append(coming, x)
			case <-b.stop:
				return
			}
		}
		for more := true; more; {
			select {
			case x := <-b.asked:
				coming = append(coming, x)
			default:
				more = false
			}
		}
		coming = slices.DeleteFunc(coming, over)
		for len(coming) > 0 {
			x := coming[0]
			begun := b.begin(x)
			if x.err == nil && x.pixels != nil && len(x.media) > 0 {
				x.pixels <- x.from
				x.pixels, coming = nil, coming[1:] // it comes again
				continue
			}
			x.seen()
			if x.err == nil && (begun || b.prefill(x)) {
				coming, decoding = coming[1:], append(decoding, x)
			}
			if !begun {
				break
			}
		}
		decoding = slices.DeleteFunc(decoding, over)
		b.decode(decoding)
		decoding = slices.DeleteFunc(decoding, over)
		goruntime.Gosched() // to who takes the tokens, and brings the next question
	}
}

// seen says that no pixel values are wanted.
func (x *sequence) seen() {
	if x.pixels != nil {
		close(x.pixels)
		x.pixels = nil
	}
}

// ended marks a sequence whose answer is whole.
const ended = -1

// begin prepares a prompt's pieces, unless that is done, and returns whether there are
// none: what is left of the prompt is one token of text, and a step is of such tokens.
func (b *batch) begin(x *sequence) bool {
	if x.ends != nil {
		return false
	}
	p := x.prompt
	b.hold(x.slot, b.held[x.slot][:min(x.from, len(b.held[x.slot]))])
	if x.err = b.share(x); x.err != nil {
		return false
	}
	x.turn.stats.PromptTokens, x.turn.stats.ReusedTokens = len(p.IDs), x.from
	n := len(p.IDs) - x.from
	if n == 1 && p.endsInText() {
		x.next = p.next - 1
		return true
	}
	for _, m := range p.media {
		if m.start >= x.from {
			x.media = append(x.media, m)
		}
	}
	for k, chunks := 1, (n+maxChunk-1)/maxChunk; k <= chunks; k++ { // of about the same length: a short one would have other bits
		x.ends = append(x.ends, x.from+n*k/chunks)
	}
	return false
}

// prefill runs the next piece of a prompt, and returns whether that was the last.
func (b *batch) prefill(x *sequence) bool {
	start := time.Now()
	s, p := b.s, x.prompt
	if len(x.media) > 0 {
		x.err = s.lookAt(x.ctx, p, x.media[0])
		x.media = x.media[1:]
		x.turn.stats.Encode += time.Since(start)
		return false
	}
	from, to := len(b.held[x.slot]), x.ends[0]
	ins, err := s.m.extend.fill(p.between(x.from, from, to), from)
	if err == nil {
		b.run.Slots(x.slot, 1)
		b.run.Part("prefill", int64(to))
		err = s.scores.take(x.ctx, ins, x.turn.sampler.Whole())
	}
	if err != nil {
		x.err = err
		return false
	}
	b.hold(x.slot, append(b.held[x.slot], p.cells[from:to]...))
	x.ends = x.ends[1:]
	x.turn.stats.Prefill += time.Since(start)
	if len(x.ends) > 0 {
		return false
	}
	b.choose(x, s.scores.count-1)
	return true
}

// hold says what a slot's state holds from now on: before any of it is overwritten, and
// after what is new has been written.
func (b *batch) hold(slot int, held []cell) {
	b.holding.Lock()
	defer b.holding.Unlock()
	b.held[slot] = held
}

// share has a prompt's slot hold what another holds of it and itself does not. Slots of
// all lanes are looked at: what is held is not written by what runs there.
func (b *batch) share(x *sequence) error {
	best, most := b, x.from
	for _, lane := range b.lanes {
		if _, n := lane.longest(x); n > most {
			best, most = lane, n
		}
	}
	if most == x.from {
		return nil
	}
	best.holding.Lock() // nothing of it is given up until it is copied
	slot, most := best.longestHeld(x)
	ok, err := most > x.from, error(nil)
	if ok {
		ok, err = b.run.CopySlot(best.run, slot, x.slot, "capacity", int64(x.from), int64(most))
	}
	best.holding.Unlock()
	if !ok || err != nil {
		return err
	}
	b.hold(x.slot, append(b.held[x.slot], x.prompt.cells[x.from:most]...))
	x.from = most
	return nil
}

// longest returns which slot holds most of a prompt, and how much.
func (b *batch) longest(x *sequence) (slot, most int) {
	b.holding.Lock()
	defer b.holding.Unlock()
	return b.longestHeld(x)
}

func (b *batch) longestHeld(x *sequence) (slot, most int) {
	for i, held := range b.held {
		if n := b.s.m.shared(held, x.prompt, x.turn); n > most {
			slot, most = i, n
		}
	}
	return slot, most
}

// choose takes a sequence's next token from a row of the scores.
func (b *batch) choose(x *sequence, row int) {
	id, err := b.s.scores.next(x.ctx, x.turn.sampler, row, x.history)
	if err != nil {
		x.err = fmt.Errorf("token %d of the answer: %w", x.made+1, err)
		return
	}
	if x.turn.stats.Decoded = x.made; x.made == 0 {
		x.turn.stats.FirstToken = time.Since(x.turn.begin)
	}
	if (&generate.Stops{IDs: b.s.m.Generate.EOS}).Has(id) {
		x.made = ended
		return
	}
	x.out <- id
	x.history = append(x.history, id)
	x.made++
	x.cut = x.made >= x.most
}

// decode runs one step of all sequences.
func (b *batch) decode(all []*sequence) {
	for base := 0; base < b.slots; base += maxRows {
		var rows []*sequence
		for _, x := range all {
			if x.slot >= base && x.slot < base+maxRows {
				rows = append(rows, x)
			}
		}
		if len(rows) > 0 {
			b.step(rows)
		}
	}
}

// step runs one step of up to maxRows sequences. It works on the smallest stretch of
// slots that holds theirs, of those that are a power of two long and start at a
// multiple of that, so that a few recorded launches do for all. Other slots in it are
// given a token behind what they hold, which is overwritten when theirs comes.
func (b *batch) step(rows []*sequence) {
	start := time.Now()
	first, count := rows[0].slot, 1
	for _, x := range rows {
		for x.slot < first || x.slot >= first+count {
			count *= 2
			first = first / count * count
		}
	}
	count = min(count, b.slots-first)
	st := b.steps[count]
	if st == nil {
		st = b.s.m.extend.newSteps(count)
		b.steps[count] = st
	}
	for i := range count {
		n := len(b.held[first+i])
		st.row(i, 0, n, int64(n))
	}
	whole, longest := false, 0
	for _, x := range rows {
		n := len(x.history) - 1
		st.row(x.slot-first, x.history[n], n, x.next)
		whole, longest = whole || x.turn.sampler.Whole(), max(longest, n)
	}
	b.run.Slots(first, count)
	b.run.Part("decode", int64(longest+1))
	if err := b.s.scores.take(context.Background(), st.ins, whole); err != nil {
		for _, x := range rows {
			x.err = err
		}
		return
	}
	if f := b.told.Load(); f != nil {
		(*f)(len(rows))
	}
	for _, x := range rows {
		b.hold(x.slot, append(b.held[x.slot], cell{id: x.history[len(x.history)-1]}))
		x.next++
		b.choose(x, x.slot-first)
		x.turn.stats.Decode += time.Since(start)
	}
}
