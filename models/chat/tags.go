package chat

import (
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	tags "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// newTags lists the tags a template may open: gonja's with their bodies metered, a set that weighs what it names, and
// transformers' generation, which marks the assistant's words for training and does nothing here.
// Tags that read other templates (include, import, extends) are not among them. While a template is parsed, at is the
// offset behind the tag last begun.
func newTags(at *int) *exec.ControlStructureSet {
	all := map[string]parser.ControlStructureParser{
		"if": parseIf, "for": parseFor, "set": parseSet, "macro": parseMacro, "generation": parseGeneration,
		"break": builtin("break"), "continue": builtin("continue"),
	}
	for name, parse := range all {
		all[name] = func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			*at = p.Current().Pos
			return parse(p, args)
		}
	}
	return exec.NewControlStructureSet(all)
}

func builtin(name string) parser.ControlStructureParser {
	parse, _ := builtins.ControlStructures.Get(name)
	return parse
}

func parseIf(p, args *parser.Parser) (nodes.ControlStructure, error) {
	n, err := builtin("if")(p, args)
	if err != nil {
		return nil, err
	}
	for _, w := range n.(*tags.IfControlStructure).Wrappers {
		w.Nodes = metered(w.Nodes)
	}
	return n, nil
}

func parseFor(p, args *parser.Parser) (nodes.ControlStructure, error) {
	n, err := builtin("for")(p, args)
	if err != nil {
		return nil, err
	}
	f := n.(*tags.ForControlStructure)
	f.ObjectEvaluator = filtered(f.ObjectEvaluator, "each item")
	if f.IfCondition != nil {
		f.IfCondition = filtered(f.IfCondition, "one step")
	}
	f.BodyWrapper.Nodes = metered(f.BodyWrapper.Nodes)
	if f.EmptyWrapper != nil {
		f.EmptyWrapper.Nodes = metered(f.EmptyWrapper.Nodes)
	}
	return f, nil
}

// macro is gonja's macro, with a limit on calls within calls (a Go stack that overflows cannot be recovered) and on what
// its arguments weigh.
type macro struct{ *tags.MacroControlStructure }

func parseMacro(p, args *parser.Parser) (nodes.ControlStructure, error) {
	n, err := builtin("macro")(p, args)
	if err != nil {
		return nil, err
	}
	m := macro{n.(*tags.MacroControlStructure)}
	m.Wrapper.Nodes = metered(m.Wrapper.Nodes)
	for _, arg := range m.Kwargs {
		arg.Value = filtered(arg.Value, "a name")
	}
	return m, nil
}

func (m macro) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	call, err := exec.MacroNodeToFunc(m.Macro, r)
	if err != nil {
		return err
	}
	meter := meterOf(r.Environment.Context)
	r.Environment.Context.Set(m.Name, exec.Macro(func(args *exec.VarArgs) *exec.Value {
		if meter.calls++; meter.calls > maxCalls {
			halt(ErrLimit, "macro %s: more than %d macros within each other", m.Name, maxCalls)
		}
		for _, v := range args.Args {
			meter.keep(v)
		}
		for _, v := range args.KwArgs {
			meter.keep(v)
		}
		v := call(args)
		meter.calls--
		return v
	}))
	return nil
}

// set is {% set NAME = VALUE %}, {% set NAME = VALUE if CONDITION else OTHER %} or {% set NAME %} BODY {% endset %}, where
// NAME may be a field of a namespace.
type set struct {
	at                      *tokens.Token
	name, field             string
	value, condition, other nodes.Expression
	body                    *nodes.Wrapper
}

func (s *set) Position() *tokens.Token { return s.at }
func (s *set) String() string          { return "set " + s.name }

func parseSet(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &set{at: args.Current()}
	name := args.Match(tokens.Name)
	if name == nil {
		return nil, args.Error("set wants a name", s.at)
	}
	s.name = name.Val
	if args.Match(tokens.Dot) != nil {
		field := args.Match(tokens.Name)
		if field == nil {
			return nil, args.Error("set wants a field's name after the dot", args.Current())
		}
		s.field = field.Val
	}
	var err error
	if args.Match(tokens.Assign) == nil {
		if s.body, _, err = p.WrapUntil("endset"); err != nil {
			return nil, err
		}
		s.body.Nodes = metered(s.body.Nodes)
	} else {
		if s.value, err = args.ParseExpression(); err != nil {
			return nil, err
		}
		if s.condition, s.other, err = args.ParseCondition(); err != nil {
			return nil, err
		}
	}
	if !args.End() {
		return nil, args.Error("unexpected in set", args.Current())
	}
	return s, nil
}

func (s *set) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	meter, vars := meterOf(r.Environment.Context), r.Environment.Context
	v, err := s.eval(r)
	if err != nil {
		return err
	}
	meter.keep(v)
	if s.field == "" {
		vars.Set(s.name, v.Interface())
		return nil
	}
	target, _ := vars.Get(s.name)
	ns, ok := target.(namespace)
	if !ok {
		halt(ErrMalformed, "%s.%s is set, but %s is no namespace", s.name, s.field, s.name)
	}
	ns[s.field] = v.Interface()
	meter.keep(exec.AsValue(ns)) // it may hold itself now
	return nil
}

func (s *set) eval(r *exec.Renderer) (*exec.Value, error) {
	if s.body != nil {
		var text strings.Builder
		sub := r.Inherit()
		sub.Output = &text
		err := sub.ExecuteWrapper(s.body)
		return exec.AsValue(text.String()), err
	}
	chosen := s.value
	if s.condition != nil {
		c := r.Eval(s.condition)
		if c.IsError() {
			return nil, c
		}
		if !c.IsTrue() {
			chosen = s.other
		}
	}
	if chosen == nil { // {% set NAME = VALUE if CONDITION %} without else
		return exec.AsValue(nil), nil
	}
	v := r.Eval(chosen)
	if v.IsError() {
		return nil, v
	}
	return v, nil
}

// generation runs its body.
type generation struct{ *nodes.Wrapper }

func parseGeneration(p, args *parser.Parser) (nodes.ControlStructure, error) {
	w, _, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	w.Nodes = metered(w.Nodes)
	return generation{w}, nil
}

func (g generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.ExecuteIfWrapper(g.Wrapper)
}
