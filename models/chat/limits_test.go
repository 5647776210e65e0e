package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestHostile renders templates that are wrong or would never end. Each must come back with an error that names the line.
func TestHostile(t *testing.T) {
	grow := "{% set ns = namespace(s='0123456789abcdef') %}\n{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"
	many := ""
	for i := range 1000 {
		many += fmt.Sprintf("{%% set v%d = ns.s ~ 'x' %%}", i)
	}
	for _, c := range []struct {
		name, source string
		kind         error
		line         string // and the start of what is wrong
	}{
		// Text that Jinja refuses.
		{"syntax", "a\n{% if %}x{% endif %}", ErrMalformed, "t.jinja:2: "},
		{"unknown end", "{% endif %}", ErrMalformed, "t.jinja:1: "},
		{"open block", "\n\n{% if true %}x", ErrMalformed, "t.jinja:3: "},
		{"open tag", "\n{{ messages", ErrMalformed, "t.jinja:2: "},
		{"open text", "\n{{ 'abc }}", ErrMalformed, "t.jinja:2: "},
		{"open comment", "x\n{# messages", ErrMalformed, "t.jinja:2: "},
		{"open bracket", "\n{{ (1 }}", ErrMalformed, "t.jinja:2: "},
		{"two values", "\n{{ 1 2 }}", ErrMalformed, "t.jinja:2: "},
		{"stray sign", "\n{{ @messages }}", ErrMalformed, "t.jinja:2: "},
		{"letter after a number", "\n{{ 67.\u9453 }}", ErrMalformed, "t.jinja:2: "},
		{"brackets crossed", "\n{{ (] }}", ErrMalformed, "t.jinja:2: "},
		{"no operand", "\n{{ 1 + }}", ErrMalformed, "t.jinja:2: "},
		{"no name", "\n{% set 1 = 2 %}", ErrMalformed, "t.jinja:2: "},
		{"no function", "\n{{ nothing() }}", ErrMalformed, "t.jinja:2: "},
		{"attribute of undefined", "\n{{ a.b.c }}", ErrMalformed, "t.jinja:2: "},
		{"filtered attribute of undefined", "\n{{ a.b.c | trim }}", ErrMalformed, "t.jinja:2: "},
		{"reversed attribute of undefined", "\n{{ a.b.c | reverse }}", ErrMalformed, "t.jinja:2: malformed chat template: a is undefined"},
		{"loop over an attribute of undefined", "\n{% for x in a.b.c %}{% endfor %}", ErrMalformed, "t.jinja:2: "},
		{"division by zero", "\n{% if 1 % 0 %}{% endif %}", ErrMalformed, "t.jinja:2: "},
		{"set on a message", "{% for m in messages %}\n{% set m.role = 'x' %}{% endfor %}", ErrMalformed, "t.jinja:2: "},
		{"loop over a number", "\n{% for i in 3 %}{% endfor %}", ErrMalformed, "t.jinja:2: "},
		{"range of nothing", "\n{{ range() }}", ErrMalformed, "t.jinja:2: "},
		{"loop condition", "{% for m in messages if m.a.b %}{% endfor %}", ErrMalformed, "t.jinja:1: "},

		// What is not there, found before anything runs.
		{"filter", "\n{% if false %}{{ messages | nonsense }}{% endif %}", ErrUnsupported, `t.jinja:2: unsupported chat template: filter "nonsense"`},
		{"test", "\n{{ 1 is nonsense }}", ErrUnsupported, `t.jinja:2: unsupported chat template: test "nonsense"`},
		{"test, negated", "{{ 1 is not nonsense }}", ErrUnsupported, `t.jinja:1: unsupported chat template: test "nonsense"`},
		{"tag", "\n{% nonsense %}", ErrUnsupported, `t.jinja:2: unsupported chat template: tag "nonsense"`},
		{"include", "\n{% include '/etc/passwd' %}", ErrUnsupported, `t.jinja:2: unsupported chat template: tag "include"`},
		{"import", "{% import '/etc/passwd' as x %}", ErrUnsupported, `t.jinja:1: unsupported chat template: tag "import"`},
		{"from", "{% from '/etc/passwd' import x %}", ErrUnsupported, `t.jinja:1: unsupported chat template: tag "from"`},
		{"extends", "{% extends '/template' %}", ErrUnsupported, `t.jinja:1: unsupported chat template: tag "extends"`},
		{"text many times", "\n{{ 'a' * 1000000000 }}", ErrLimit, "t.jinja:2: "},
		{"recursive loop", "{% for i in messages recursive %}{{ loop(messages) }}{% endfor %}", ErrUnsupported, "t.jinja:1: "},
		{"time format", "\n{{ strftime_now('%Q') }}", ErrUnsupported, "t.jinja:2: "},
		{"refusal", "\n{{ raise_exception('roles must alternate') }}", ErrUnsupported, "t.jinja:2: unsupported chat template: it refuses this conversation: roles must alternate"},
		{"refusal in a macro", "{% macro f() %}\n{{ raise_exception('no') }}{% endmacro %}\n{{ f() }}", ErrUnsupported, "t.jinja:2: "},
		{"list as text", "\n{{ messages }}", ErrUnsupported, "t.jinja:2: "},
		{"list joined to text", "\n{{ 'a' ~ messages }}", ErrUnsupported, "t.jinja:2: "},

		// What would take too long or too much.
		{"endless range", "\n{% for i in range(1000000000000) %}{% endfor %}", ErrLimit, "t.jinja:2: "},
		{"endless range backwards", "{% for i in range(0, -1000000000000, -1) %}{% endfor %}", ErrLimit, "t.jinja:1: "},
		{"loops in loops", "{% for i in range(10000) %}\n{% for j in range(10000) %}\n{% endfor %}{% endfor %}", ErrLimit, "t.jinja:2: "},
		{"loops over conditions", "{% for i in range(10000) %}{% for j in range(10000) if j == i %}{% endfor %}{% endfor %}", ErrLimit, "t.jinja:1: "},
		{"1 GB of output", "{% for i in range(100000) %}\n" + strings.Repeat("0123456789", 1000) + "{% endfor %}", ErrLimit, "t.jinja:2: "},
		{"1 GB in a variable", grow, ErrLimit, "t.jinja:2: "},
		{"1 GB in a block", "{% set x %}{% for i in range(100000) %}" + strings.Repeat("0123456789", 1000) + "\n{% endfor %}{% endset %}", ErrLimit, "t.jinja:1: "},
		{"1 GB in a macro", "{% macro f() %}" + strings.Repeat("0123456789", 1000) + "{% endmacro %}{% for i in range(100000) %}\n{% set x = f() %}{% endfor %}", ErrLimit, "t.jinja:1: "},
		{"1 GB of arguments", "{% macro f(s, n) %}\n{{ f(s ~ s, n - 1) if n }}{% endmacro %}{{ f('0123456789', 40) }}", ErrLimit, "t.jinja:2: "},
		{"1 GB in many variables", grow[:len(grow)-len("{% endfor %}")] + "{% if i == 16 %}{% break %}{% endif %}{% endfor %}\n" + many, ErrLimit, "t.jinja:3: "},
		{"1 GB by replace", "{% set ns = namespace(s='a') %}{% for i in range(30) %}\n{% set ns.s = ns.s | replace('a', 'aaaa') %}{% endfor %}", ErrLimit, "t.jinja:2: "},
		{"1 GB by join", "{% set x %}{% for i in range(30000) %}0123456789{% endfor %}{% endset %}\n{{ range(30000) | join(x) }}", ErrLimit, "t.jinja:2: "},
		{"1 GB by split", "{% set x %}{% for i in range(30000) %}01234567890123456789{% endfor %}{% endset %}\n{% for i in range(30000) %}{{ x.split('0') | length }}{% endfor %}", ErrLimit, "t.jinja:2: "},
		{"list many times", "\n{{ [1] * 1000000000 }}", ErrLimit, "t.jinja:2: "},
		{"characters of a long text", "{% set x = '0123456789' * 400000 %}\n{% for i in range(30000) %}{{ x[1] }}{% endfor %}", ErrLimit, "t.jinja:2: "},
		{"power", "\n{{ 9 ** 9 ** 9 }}", ErrUnsupported, `t.jinja:2: unsupported chat template: operator "**"`},
		{"numbers without end", "{% set ns = namespace(n=9) %}{% for i in range(99) %}\n{% set ns.n = ns.n * ns.n %}{% endfor %}", ErrUnsupported, "t.jinja:2: "},
		{"tojson of a list in itself", "{% set ns = namespace(l=[]) %}{% for i in range(99) %}{% set ns.l = [ns.l] %}{% endfor %}\n{{ ns.l | tojson }}", ErrLimit, "t.jinja:2: "},
		{"doubling list", "{% set ns = namespace(l=[1]) %}{% for i in range(50) %}\n{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l }}", ErrLimit, "t.jinja:2: "},
		{"macro without end", "{% macro f() %}\n{{ f() }}{% endmacro %}{{ f() }}", ErrLimit, "t.jinja:2: "},
		{"brackets", "\n{{ " + strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000) + " }}", ErrLimit, "t.jinja:2: "},
		{"blocks", strings.Repeat("{% if true %}", 5000) + strings.Repeat("{% endif %}", 5000), ErrLimit, "t.jinja:1: "},
		{"long expression", "{{ a" + strings.Repeat(" and a", 10000) + " }}", ErrLimit, "t.jinja:1: "},
		{"long template", strings.Repeat("x", maxSource+1), ErrLimit, "t.jinja:1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			tpl, err := New("t.jinja", c.source)
			text := ""
			if err == nil {
				tpl.most = time.Hour // counts alone must stop it
				text, err = tpl.Render([]Message{{Role: "user", Parts: []Part{{Kind: Image}, {Text: "Hi"}}}}, Options{})
			}
			if !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.line) {
				t.Errorf("got %.100q, error %v; want %v at %q", text, err, c.kind, c.line)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

// TestClock stops what counts would still let run, and lets a small rendering take its time.
func TestClock(t *testing.T) {
	for source, want := range map[string]error{
		"{% for i in range(99999) %}\n{% if i %}{% endif %}{% endfor %}": ErrLimit,
		defaultSource: nil,
	} {
		tpl, err := New("t.jinja", source)
		if err != nil {
			t.Fatal(err)
		}
		tpl.most = -time.Hour
		if _, err := tpl.Render([]Message{{Role: "user"}}, Options{}); !errors.Is(err, want) {
			t.Errorf("%.40s: error %v, want %v", source, err, want)
		}
	}
}

// TestSmall renders what the recorded conversations do not use, as Jinja does; what Jinja refuses is malformed here.
func TestSmall(t *testing.T) {
	data, err := os.ReadFile("testdata/small.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Source string
			Want   *string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		got := ""
		tpl, err := New("t.jinja", c.Source)
		if err == nil {
			got, err = tpl.Render([]Message{{Role: "user", Parts: []Part{{Kind: Image}, {Text: "Hi"}}}}, Options{EOS: "</s>", Now: recordedAt})
		}
		switch {
		case c.Want == nil && !errors.Is(err, ErrMalformed):
			t.Errorf("%s: got %q, error %v; want it refused", c.Source, got, err)
		case c.Want != nil && (err != nil || got != *c.Want):
			t.Errorf("%s: error %v, got\n%q, want\n%q", c.Source, err, got, *c.Want)
		}
	}
	if len(file.Cases) < 80 {
		t.Errorf("only %d templates recorded", len(file.Cases))
	}
}

func FuzzRender(f *testing.F) {
	f.Add("{% for m in messages %}{{ m.role | upper }}: {{ m.content }}{% endfor %}", "Hi {{ x }}")
	f.Add("{% macro f(a, b='c') %}{{ a ~ b }}{% endmacro %}{{ f('x') }}{# c #}", "")
	f.Add("{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 if ns.a is defined else 0 %}{{ ns.a }}", "\n")
	f.Add("{{ [1, 2][::-1] | tojson(indent=1) }}{{ {'a': 'b'}.get('a', none) }}", "'\"")
	f.Add(defaultSource, "<|image_pad|>")
	f.Fuzz(func(t *testing.T, source, text string) {
		tpl, err := New("fuzz", source)
		if err == nil {
			_, err = tpl.Render([]Message{{Role: "user", Parts: []Part{{Text: text}}}, {Role: text, Parts: []Part{{Kind: Video}, {Text: text}}}}, Options{})
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrLimit) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
