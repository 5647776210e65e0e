package chat

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Limits of a template's text. The longest published chat templates have some 20 KiB.
const (
	maxSource = 128 << 10
	maxWords  = 256 // tokens in one tag
	maxDepth  = 32  // brackets within brackets
	maxJoins  = 16  // + and ~ in one tag: each may add a value of maxOutput
	maxBlocks = 64  // if, for, set, macro within each other
)

// jinja is how transformers configures Jinja (utils/chat_template_utils.py): trim_blocks and lstrip_blocks.
func jinja() *config.Config {
	c := config.New()
	c.TrimBlocks, c.LeftStripBlocks = true, true
	return c
}

// closers are the tags that go on with or end another.
var closers = map[string]bool{
	"elif": true, "else": true, "endif": true, "endfor": true, "endset": true, "endmacro": true, "endgeneration": true,
}

// refusal is an error about a template that has no position yet.
type refusal stop

func (r refusal) Error() string { return r.detail }

func refuse(kind error, format string, args ...any) error {
	return refusal{kind, fmt.Sprintf(format, args...)}
}

// gate reads the tokens of a scanned template and refuses what gonja would let pass although Jinja does not (its parser
// stops in silence at a lexer's error), what gonja lacks, and what could outgrow the meter between two of its marks. It
// knows the filters, tests and tags of env, so that an unknown one is found before the first conversation. On an error,
// pos is its offset.
func gate(source string, env *exec.Environment) (pos int, err error) {
	g := checker{env: env, before: &tokens.Token{}}
	s := tokens.LexAll(source, jinja())
	for ; !s.End(); s.Next() {
		if err := g.check(s.Current()); err != nil {
			return s.Current().Pos, err
		}
	}
	if s.IsError() {
		return s.Current().Pos, refuse(ErrMalformed, "%s", s.Current().Val)
	}
	return s.Current().Pos, nil
}

// checker is what gate remembers from token to token.
type checker struct {
	env    *exec.Environment
	before *tokens.Token
	tag    string // the tag that the token is in: "{{", the name of a {% tag, or "" outside
	is     bool   // the token may be the name of a test
	blocks int    // open blocks; from here on within the tag: words, joined texts, open brackets, conditions

	words, joins, depth, ifs int
}

func (g *checker) check(t *tokens.Token) error {
	before := g.before
	g.before = t
	switch t.Type {
	case tokens.VariableBegin, tokens.BlockBegin:
		*g = checker{env: g.env, before: t, tag: "{{", blocks: g.blocks}
		return nil
	case tokens.VariableEnd, tokens.BlockEnd:
		g.tag = ""
	}
	if before.Type == tokens.BlockBegin {
		g.tag = t.Val
		return g.checkTag(t)
	}
	if g.tag == "" {
		return nil
	}
	g.words++
	switch name := t.Type == tokens.Name; {
	case t.Type == tokens.LeftParenthesis, t.Type == tokens.LeftBracket, t.Type == tokens.LeftBrace:
		g.depth++
	case t.Type == tokens.RightParenthesis, t.Type == tokens.RightBracket, t.Type == tokens.RightBrace:
		g.depth--
	case t.Type == tokens.Addition, t.Type == tokens.Tilde:
		g.joins++
	case t.Type == tokens.Multiply, t.Type == tokens.Power: // a text times a number can be any length
		return refuse(ErrUnsupported, "operator %q", t.Val)
	case name && before.Type == tokens.Pipe && !g.env.Filters.Exists(t.Val):
		return refuse(ErrUnsupported, "filter %q", t.Val)
	case name && g.is && !g.env.Tests.Exists(t.Val):
		return refuse(ErrUnsupported, "test %q", t.Val)
	case name && t.Val == "recursive" && g.tag == "for":
		return refuse(ErrUnsupported, "recursive loop")
	case name && t.Val == "if":
		if g.ifs++; g.ifs > 1 || g.depth > 0 {
			return refuse(ErrUnsupported, "one conditional expression within another, or within brackets")
		}
	}
	if g.words > maxWords || g.joins > maxJoins {
		return refuse(ErrLimit, "a tag of more than %d words or %d joined texts", maxWords, maxJoins)
	}
	g.is = t.Type == tokens.Is || g.is && t.Type == tokens.Not
	return nil
}

func (g *checker) checkTag(t *tokens.Token) error {
	switch {
	case t.Type != tokens.Name:
		return refuse(ErrMalformed, "a tag's name wanted, found %q", t.Val)
	case !g.env.ControlStructures.Exists(t.Val) && !closers[t.Val]:
		return refuse(ErrUnsupported, "tag %q", t.Val)
	case t.Val == "if", t.Val == "for", t.Val == "macro", t.Val == "generation":
		g.blocks++
	case strings.HasPrefix(t.Val, "end") && t.Val != "endset": // a set may have no end
		g.blocks--
	}
	if g.blocks > maxBlocks {
		return refuse(ErrLimit, "more than %d tags within each other", maxBlocks)
	}
	return nil
}
