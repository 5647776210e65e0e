package chat

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Limits of one rendering. A conversation of a thousand turns takes some 20,000 steps.
const (
	maxOutput = 4 << 20  // bytes of the result, and of any one value
	maxBytes  = 64 << 20 // bytes of all values printed or named on the way
	maxSteps  = 1 << 18  // nodes executed and items looped over
	maxCalls  = 16       // macros within macros
	maxNest   = 64       // lists and mappings within each other
	maxTime   = time.Second
	freeWork  = 1 << 20 // work before the clock counts: a busy machine may hold up a small rendering
)

// meterKey holds the meter among the template's variables. The space keeps a template from naming it.
const meterKey = "the meter"

// meter counts what a rendering has taken. gonja cannot be interrupted, so everything that can repeat or grow passes by
// here, and past a limit the meter panics with a stop, which Render recovers.
type meter struct {
	now      time.Time // for strftime_now
	deadline time.Time
	pos      int // offset of the node that runs
	steps    int
	bytes    int
	calls    int
}

// stop is thrown through gonja, which would lose the kind of an error on the way.
type stop struct {
	kind   error
	detail string
}

func halt(kind error, format string, args ...any) { panic(stop{kind, fmt.Sprintf(format, args...)}) }

func newMeter(now time.Time, most time.Duration) *meter {
	return &meter{now: now, deadline: time.Now().Add(most)}
}

func meterOf(c *exec.Context) *meter {
	m, _ := c.Get(meterKey)
	return m.(*meter)
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

// keep counts a value that is about to get a name.
func (m *meter) keep(v *exec.Value) { m.take(1, m.weight(v)) }

// weight is the size of a value in bytes, counted as a tree. None may outgrow maxOutput: a list that holds itself, or the
// same list twice and again twice, would take for ever to compare.
func (m *meter) weight(v *exec.Value) int {
	left := weigh(v.Val, maxOutput, maxNest)
	if left < 0 {
		halt(ErrLimit, "a value of more than %d bytes or %d levels", maxOutput, maxNest)
	}
	return maxOutput - left
}

// weigh subtracts the weight of v from left. Negative: too heavy, or nested too deep.
func weigh(v reflect.Value, left, nest int) int {
	switch left -= 16; {
	case nest == 0:
		return -1
	case left < 0, !v.IsValid():
		return left
	}
	switch v.Kind() {
	case reflect.String:
		return left - v.Len()
	case reflect.Interface:
		return weigh(v.Elem(), left, nest)
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && left >= 0; i++ {
			left = weigh(v.Index(i), left, nest-1)
		}
	case reflect.Map:
		for it := v.MapRange(); left >= 0 && it.Next(); {
			left = weigh(it.Value(), weigh(it.Key(), left, nest-1), nest-1)
		}
	case reflect.Pointer:
		switch p := v.Interface().(type) {
		case *exec.Value:
			return weigh(p.Val, left, nest)
		case *exec.Dict:
			for _, pair := range p.Pairs {
				if left = weigh(pair.Value.Val, weigh(pair.Key.Val, left, nest-1), nest-1); left < 0 {
					break
				}
			}
		}
	}
	return left
}

// output is where the template writes: a string no longer than maxOutput.
type output struct {
	meter *meter
	text  strings.Builder
}

func (o *output) Write(p []byte) (int, error) { return o.WriteString(string(p)) }

func (o *output) WriteString(s string) (int, error) {
	if o.text.Len()+len(s) > maxOutput {
		halt(ErrLimit, "more than %d bytes of output", maxOutput)
	}
	return o.text.WriteString(s)
}

// metered returns the nodes of a body with a mark before each, and its outputs measured.
func metered(body []nodes.Node) []nodes.Node {
	out := make([]nodes.Node, 0, 2*len(body))
	for _, n := range body {
		m := mark{at: n.Position()}
		switch n := n.(type) {
		case *nodes.Comment:
			continue
		case *nodes.Data:
			m.bytes = len(n.Data.Val)
		case *nodes.Output:
			n.Expression = filtered(n.Expression, "as text")
			if n.Alternative != nil {
				n.Alternative = filtered(n.Alternative, "as text")
			}
		}
		out = append(out, &nodes.ControlStructureBlock{Location: m.at, ControlStructure: m}, n)
	}
	return out
}

// filtered applies one of this package's own filters, whose names have a space that no template can write.
func filtered(x nodes.Expression, filter string) nodes.Expression {
	return &nodes.FilteredExpression{Expression: x, Filters: []*nodes.FilterCall{{Name: filter}}}
}

// mark stands before every node: it tells the meter where the template is, and that it is one step on.
type mark struct {
	at    *tokens.Token
	bytes int // what the node will write, where that is fixed
}

func (m mark) Position() *tokens.Token { return m.at }
func (m mark) String() string          { return "mark" }

func (m mark) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	meter := meterOf(r.Environment.Context)
	meter.pos = m.at.Pos
	meter.take(1, m.bytes)
	return nil
}

// asText is the value as Jinja prints it, measured. A list or a mapping is refused: Python would print its own notation,
// which is a prompt nobody meant; it happens where a template made for plain text gets a picture.
func asText(e *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if in.IsList() || in.IsDict() || in.IsCallable() {
		halt(ErrUnsupported, "text wanted, found a list, a mapping or a function (has this template no place for pictures?)")
	}
	s := in.String()
	meterOf(e.Environment.Context).take(0, len(s))
	return exec.AsValue(s)
}
