package partition

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/graph"
)

func TestPlace(t *testing.T) {
	const chain = `input %x: float32[n] %a = Neg-13(%x) ; vision.a %b = Abs-13(%a) %c = Exp-13(%b) ; llm.c %d = Relu-14(%c) ; head.d output %d`
	for _, c := range []struct{ name, text, rules, want string }{
		{"no rules", chain, "", "cpu default|cpu default|cpu default|cpu default"},
		{"one device", chain, "sim", "sim:0 rule sim|sim:0 rule sim|sim:0 rule sim|sim:0 rule sim"},
		{
			"a node without a path goes with its reader", chain, "vision=sim:0,llm.c=sim:1",
			`sim:0 rule vision=sim:0|sim:1 goes with its reader, node "llm.c" (Exp)|sim:1 rule llm.c=sim:1|cpu default`,
		},
		{
			"a rule for the llm is one for embed and head", strings.Replace(chain, "vision.a", "embed.a", 1), "llm=sim:1",
			`sim:1 rule llm=sim:1|sim:1 goes with its reader, node "llm.c" (Exp)|sim:1 rule llm=sim:1|sim:1 rule llm=sim:1`,
		},
		{
			"unless one names them", strings.Replace(chain, "vision.a", "embed.a", 1), "llm=sim:1,head=sim:0",
			`sim:1 rule llm=sim:1|sim:1 goes with its reader, node "llm.c" (Exp)|sim:1 rule llm=sim:1|sim:0 rule head=sim:0`,
		},
		{
			"the first rule wins", chain, "llm.c=sim:1,/./=sim:0,llm=cpu",
			`sim:0 rule /./=sim:0|sim:1 goes with its reader, node "llm.c" (Exp)|sim:1 rule llm.c=sim:1|sim:0 rule /./=sim:0`,
		},
		{
			"one after the other goes with the last",
			`input %x: float32[n] %a = Neg-13(%x) %b = Abs-13(%a) %c = Exp-13(%b) ; llm.c output %c`, "llm=sim:0",
			`sim:0 goes with its reader, node "b" (Abs)|sim:0 goes with its reader, node "llm.c" (Exp)|sim:0 rule llm=sim:0`,
		},
		{
			"of two readers, with the first",
			`input %x: float32[n] %a = Neg-13(%x) %b = Abs-13(%a) ; llm.b %c = Exp-13(%a) ; vision.c output %b output %c`, "llm=sim:1,vision=sim:0",
			`sim:1 goes with its reader, node "llm.b" (Abs)|sim:1 rule llm=sim:1|sim:0 rule vision=sim:0`,
		},
		{
			"of two outputs, with the reader of that which is read",
			`input %x: float32[4] const %k = int64[1] {2} %v, %i = TopK-11(%x, %k) %b = Neg-13(%i) ; llm.b output %v output %b`, "llm=sim:1",
			`sim:1 goes with its reader, node "llm.b" (Neg)|sim:1 rule llm=sim:1`,
		},
		{
			"what nobody reads stays on the cpu", `input %x: float32[n] %a = Neg-13(%x) %b = Abs-13(%x) ; llm.b output %a output %b`, "llm=sim:1",
			"cpu default|sim:1 rule llm=sim:1",
		},
		{
			"with the node whose body reads it",
			`input %x: float32[2] input %yes: bool[] %a = Neg-13(%x) %y = If-21(%yes) ; llm.y
				body then_branch = graph "t" { capture %v: float32[2] = %a %o = Abs-13(%v) output %o }
				body else_branch = graph "e" { capture %v: float32[2] = %a %o = Exp-13(%v) output %o } output %y`, "llm=sim:0",
			`sim:0 goes with its reader, node "llm.y" (If)|sim:0 rule llm=sim:0`,
		},
	} {
		g := parse(t, c.text)
		if err := place("extend", g, rules(t, c.rules), devices("cpu", "sim:0", "sim:1")); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, n := range g.Nodes {
			got = append(got, n.Target+" "+n.Cause)
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, s, c.want)
		}
	}
}

// TestPlaceOutputs has the host make outputs of outputs that a device cannot make: of
// other values it is a misfit.
func TestPlaceOutputs(t *testing.T) {
	floats := Target{Profile: Profile{Name: "sim:0", DTypes: []string{"float32"}}}
	const text = `input %x: float32[4] const %k = int64[1] {2} %y = Neg-13(%x) ; llm.y %v, %i = TopK-11(%y, %k) ; head.top `
	for _, c := range []struct {
		name, outputs, target string
		devices               []Target
	}{
		{"of an output", "output %y output %v output %i", "cpu", []Target{floats}},
		{"where the device can", "output %y output %v output %i", "sim:0", devices("sim:0")},
		{"of no output", "output %v output %i", "", []Target{floats}},
		{"read by a node", "%z = Neg-13(%v) ; llm.z output %y output %v output %i output %z", "", []Target{floats}},
	} {
		g := parse(t, text+c.outputs)
		err := place("extend", g, rules(t, "llm=sim:0"), append(devices("cpu"), c.devices...))
		if (err == nil) != (c.target != "") || err == nil && g.Nodes[1].Target != c.target {
			t.Errorf("%s: on %s (%s), error %v, want %q", c.name, g.Nodes[1].Target, g.Nodes[1].Cause, err, c.target)
		}
	}
}

// TestPlaceRefuses returns everything that a device cannot do, at once.
func TestPlaceRefuses(t *testing.T) {
	small := Target{Profile: Profile{Name: "sim:0", Operators: []string{"Neg", "Abs", "mnnconv.SegmentedAttention"}, DTypes: []string{"float32"}}}
	g := parse(t, `input %x: float32[n] input %cu: int64[m] input %q: float16[n, 1, 2]
		%a = Neg-13(%x) ; llm.a %b = Exp-13(%a) ; llm.b %c = Cast-21(%a) {to = 10} ; llm.c %d = Neg-13(%c) ; llm.d
		%e = mnnconv::SegmentedAttention-1(%q, %q, %q, %cu) ; llm.e %f = Abs-13(%b) ; vision.f %g = Neg-13(%f) ; vision.g output %d output %e output %g`)
	err := place("extend", g, rules(t, "llm=sim:0,vision=sim:7"), append(devices("cpu"), small))
	if !errors.Is(err, ErrPlacement) {
		t.Fatalf("got %v", err)
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{
		`node "llm.b" (Exp) (rule llm=sim:0): sim:0 has no kernel for Exp`,
		`node "llm.c" (Cast) (rule llm=sim:0): sim:0 has no kernel for Cast`,
		`node "llm.d" (Neg) (rule llm=sim:0): sim:0 does not compute in float16 (value "d")`,
		`node "llm.e" (mnnconv.SegmentedAttention) (rule llm=sim:0): sim:0 does not compute in float16 (value "e")`,
		`device "sim:7" is not known here (known: [cpu sim:0]`,
	}
	if len(lines) != len(want) {
		t.Errorf("%d faults, want %d:\n%v", len(lines), len(want), err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not said in\n%v", w, err)
		}
	}
}

func TestSupports(t *testing.T) {
	g := parse(t, `input %x: float32[4] const %k = int64[1] {2} %v, %i = TopK-11(%x, %k) %l = SequenceConstruct-11(%v, %v) output %i output %l`)
	for _, c := range []struct {
		name string
		p    Profile
		node int
		want string // empty: it does
	}{
		{"everything", Profile{Name: "cpu"}, 0, ""},
		{"a listed operator", Profile{Name: "cpu", Operators: []string{"TopK"}}, 0, ""},
		{"one of another domain", Profile{Name: "cpu", Operators: []string{"com.acme.TopK"}}, 0, "TopK"},
		{"all its dtypes", Profile{Name: "cpu", DTypes: []string{"float32", "int64"}}, 0, ""},
		{"a dtype short", Profile{Name: "cpu", DTypes: []string{"float32"}}, 0, `value "i"`},
		{"a sequence has no dtype of its own", Profile{Name: "cpu", DTypes: []string{"int8"}}, 1, ""},
	} {
		err := c.p.Supports(g.Nodes[c.node])
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if s := (Profile{Name: "sim:2"}).Space(); s != graph.Space("sim:2") {
		t.Errorf("its space is %s", s)
	}
}
