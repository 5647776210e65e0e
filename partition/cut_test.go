package partition

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

func TestCut(t *testing.T) {
	const pairs = `input %x: float32[n]
		%a = Neg-13(%x) ; s.a %p = Neg-13(%x) ; t.p %b = Abs-13(%a) ; s.b %q = Abs-13(%p) ; t.q %c = Exp-13(%b) ; s.c %r = Exp-13(%q) ; t.r
		output %c output %r`
	for _, c := range []struct{ name, text, place, want string }{
		{"one device", pairs, "cpu", "cpu(Neg Neg Abs Abs Exp Exp)"},
		{"two chains that take turns", pairs, "s=sim:0,t=sim:1", "x→sim:0 x→sim:1 sim:0(Neg Abs Exp) c→cpu sim:1(Neg Abs Exp) r→cpu"},
		{"out and back", `input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; s.b %c = Add-14(%a, %b) ; c output %c`, "s=sim:0",
			"cpu(Neg) a→sim:0 sim:0(Abs) b→cpu cpu(Add)"},
		{"what does not wait goes on", `input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; s.b %c = Add-14(%x, %b) ; c %d = Exp-13(%a) ; d output %c output %d`, "s=sim:0",
			"cpu(Neg Exp) a→sim:0 sim:0(Abs) b→cpu cpu(Add)"},
		{"two that feed each other twice", `input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; s.b %c = Exp-13(%b) ; c %d = Relu-14(%c) ; s.d output %d`, "s=sim:0",
			"cpu(Neg) a→sim:0 sim:0(Abs) b→cpu cpu(Exp) c→sim:0 sim:0(Relu) d→cpu"},
		{"the graph's own order within a partition", `input %x: float32[n] %z = Exp-13(%x) ; z %a = Neg-13(%x) ; a %y = Abs-13(%a) ; y %w = Add-14(%z, %y) ; w output %w`, "cpu",
			"cpu(Exp Neg Abs Add)"},
		{"nothing to run", `input %x: float32[n] output %x`, "cpu", ""},
	} {
		p, err := Build("p", parse(t, c.text), rules(t, c.place), devices("cpu", "sim:0", "sim:1"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := schedule(p); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestBoundary: a partition's inputs are what it reads of others, constants
// apart, its outputs what others read of it, each once.
func TestBoundary(t *testing.T) {
	p, err := Build("p", parse(t, `input %x: float32[n] input %y: float32[n] const %k = float32[1] {2}
		%a = Add-14(%x, %x) ; s.a %b = Mul-14(%a, %k) ; s.b %c = Add-14(%b, %y) ; s.c %d = Add-14(%a, %c) ; d output %d output %b`),
		rules(t, "s=sim:0"), devices("cpu", "sim:0"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, part := range p.Partitions() {
		got = append(got, part.Graph().Name+" "+names(part.Inputs)+"→"+names(part.Outputs))
	}
	if want := []string{"partition-0 x@sim:0,y@sim:0→a,b,c", "partition-1 a@cpu,c@cpu→d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCutRandom: any graph on any devices makes a plan that verifies, that the
// same input makes again, and no partition could be joined with the one before on
// its device.
func TestCutRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, place := drawn(t)
		build := func() *Plan {
			p, err := Build("p", parse(t, text), rules(t, place), devices("cpu", "sim:0", "sim:1"))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := build()
		if a, b := schedule(p), schedule(build()); a != b {
			t.Errorf("the same graph is cut in two ways:\n%s\n%s", a, b)
		}
		last := map[string]int{}
		for i, s := range p.Steps {
			if s.Partition == nil {
				continue
			}
			if before, ok := last[s.Partition.Target]; ok && !waits(s.Partition, p.Steps[before+1:i]) {
				t.Errorf("step %d could go on with step %d:\n%s", i, before, schedule(p))
			}
			last[s.Partition.Target] = i
		}
	})
}

// waits reports whether the partition's first node needs what one of the steps makes.
func waits(p *Partition, steps []Step) bool {
	made := map[*graph.Value]bool{}
	for _, s := range steps {
		nodes := []*graph.Node{s.Copy}
		if s.Partition != nil {
			nodes = s.Partition.Nodes
		}
		for _, n := range nodes {
			for _, v := range n.Outputs {
				made[v] = true
			}
		}
	}
	needs := false
	p.Nodes[0].Reads(func(v *graph.Value) { needs = needs || made[v] })
	return needs
}
