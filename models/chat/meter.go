package chat

import (
	"fmt"
	"time"
)

// Limits of one rendering. A conversation of a thousand turns takes some 50,000 steps.
const (
	maxOutput = 4 << 20  // bytes of the result, and of any one text
	maxBytes  = 64 << 20 // bytes of all that is printed or made on the way
	maxSteps  = 1 << 18  // statements and calls that run, items looped over or compared
	maxNest   = 64       // lists and mappings within each other
	maxTime   = time.Second
	freeWork  = 1 << 20 // work before the clock counts: a busy machine may hold up a small rendering
)

// meter counts what a rendering has taken. Everything that can repeat or grow passes by here, before it does.
type meter struct {
	deadline time.Time
	pos      int // offset of what runs
	steps    int
	bytes    int
}

// stop is what is wrong with a template. It is thrown, as an error may come from deep within an expression, and caught by
// New and Render.
type stop struct {
	kind   error
	detail string
}

func halt(kind error, format string, args ...any) { panic(stop{kind, fmt.Sprintf(format, args...)}) }

// step is the start of a statement or a call at pos.
func (m *meter) step(pos int) {
	m.pos = pos
	m.take(1, 0)
}

// take counts steps and bytes, and looks at the clock.
func (m *meter) take(steps, bytes int) {
	m.steps, m.bytes = m.steps+steps, m.bytes+bytes
	switch {
	case m.steps > maxSteps:
		halt(ErrLimit, "more than %d steps", maxSteps)
	case m.bytes > maxBytes:
		halt(ErrLimit, "more than %d bytes on the way", maxBytes)
	case 16*m.steps+m.bytes > freeWork && time.Now().After(m.deadline):
		halt(ErrLimit, "more than %v", maxTime)
	}
}

// grow counts a text of so many bytes that is about to be made.
func (m *meter) grow(bytes int) {
	if bytes > maxOutput {
		halt(ErrLimit, "a text of more than %d bytes", maxOutput)
	}
	m.take(0, bytes)
}
