package chat

import (
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// newEnvironment is what templates may use: the functions transformers adds to Jinja, and those of Jinja's that chat
// templates are made of. What is not here is refused by name. at is passed to newTags.
func newEnvironment(at *int) *exec.Environment {
	return &exec.Environment{
		ControlStructures: newTags(at),
		Filters:           newFilters(),
		Tests:             newTests(),
		Methods:           newMethods(),
		Context: exec.NewContext(map[string]any{
			"range":           rangeOf,
			"namespace":       newNamespace,
			"raise_exception": raise,
			"strftime_now":    strftimeNow,
		}),
	}
}

// rangeOf is Python's range as a list, counted before it is made.
func rangeOf(e *exec.Evaluator, args *exec.VarArgs) *exec.Value {
	var n [3]int
	for i, v := range args.Args {
		if i == len(n) || !v.IsInteger() {
			halt(ErrMalformed, "range wants one to three integers")
		}
		n[i] = v.Integer()
	}
	start, end, step := n[0], n[1], n[2]
	switch len(args.Args) {
	case 0:
		halt(ErrMalformed, "range wants one to three integers")
	case 1:
		start, end, step = 0, start, 1
	case 2:
		step = 1
	}
	if step == 0 {
		halt(ErrMalformed, "range with a step of 0")
	}
	out := list{}
	m := meterOf(e.Environment.Context)
	for i := start; step > 0 && i < end || step < 0 && i > end; i += step {
		m.take(1, 0)
		out = append(out, i)
	}
	return exec.AsValue(out)
}

func newNamespace(e *exec.Evaluator, args *exec.VarArgs) *exec.Value {
	ns := namespace{}
	for name, v := range args.KwArgs {
		meterOf(e.Environment.Context).keep(v)
		ns[name] = v.Interface()
	}
	return exec.AsValue(ns)
}

// raise is raise_exception: the template refuses the conversation.
func raise(args *exec.VarArgs) *exec.Value {
	halt(ErrUnsupported, "it refuses this conversation: %s", args.First().String())
	return nil
}

// strftimeNow is datetime.now().strftime(format).
func strftimeNow(e *exec.Evaluator, args *exec.VarArgs) *exec.Value {
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'H': "15", 'I': "03", 'j': "002", 'm': "01",
		'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006",
	}
	m := meterOf(e.Environment.Context)
	var out strings.Builder
	for format := args.First().String(); ; {
		before, after, found := strings.Cut(format, "%")
		out.WriteString(before)
		if !found {
			return exec.AsValue(out.String())
		}
		layout, known := layouts[(after + " ")[0]]
		switch {
		case known:
			out.WriteString(m.now.Format(layout))
		case strings.HasPrefix(after, "%"):
			out.WriteByte('%')
		default:
			halt(ErrUnsupported, "strftime_now: %%%.1s", after)
		}
		format = after[1:]
	}
}

// newTests takes gonja's tests, but for those that differ from Jinja's.
func newTests() *exec.TestSet {
	tests := map[string]exec.TestFunction{
		"false": func(_ *exec.Context, in *exec.Value, _ *exec.VarArgs) (bool, error) {
			return in.IsBool() && !in.Bool(), nil
		},
		"sequence": func(_ *exec.Context, in *exec.Value, _ *exec.VarArgs) (bool, error) {
			return in.IsList() || in.IsString() || in.IsDict(), nil
		},
	}
	for _, name := range []string{
		"boolean", "callable", "defined", "divisibleby", "eq", "equalto", "==", "even", "float", "ge", ">=", "gt", "greaterthan",
		">", "in", "integer", "iterable", "le", "<=", "lower", "lt", "lessthan", "<", "mapping", "ne", "!=", "none", "number",
		"odd", "string", "true", "undefined", "upper",
	} {
		tests[name], _ = builtins.Tests.Get(name)
	}
	return exec.NewTestSet(tests)
}
