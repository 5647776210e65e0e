package partition

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/graph"
)

// plain lowers every node to a kernel of its own.
type plain struct{}

func (plain) Lower(_ Profile, g *graph.Graph) ([]Kernel, error) {
	var out []Kernel
	for _, n := range g.Nodes {
		out = append(out, Kernel{Name: n.Op, Nodes: []*graph.Node{n}, In: n.Inputs, Out: n.Outputs})
	}
	return out, nil
}

// tied is a graph x + w in the stage vision, then + w again in the stage llm, all
// float32[n]; w has 1000 elements' bytes.
func tied(phase string, w *graph.Tensor) *graph.Graph {
	g := graph.New(phase)
	t := graph.TensorOf(graph.Float32, "n")
	x := g.NewValue("x", t)
	g.Inputs = []*graph.Value{x}
	for _, stage := range []string{"vision", "llm"} {
		c := g.NewValue(stage+"_w", graph.TensorOf(graph.Float32, 1000))
		c.Const = w
		n := g.NewNode("", "Add", 14, []*graph.Value{x, c}, phase+"_"+stage)
		g.Nodes = append(g.Nodes, n)
		n.Path = stage + ".add"
		x = n.Outputs[0]
		x.Type = t
	}
	g.Outputs = []*graph.Value{x}
	return g
}

func budgetOf(t *testing.T, place string, n int64, policy Policy) *Budget {
	t.Helper()
	w := &graph.Tensor{DType: graph.Float32, Shape: []int64{1000}, Data: make([]byte, 4000), Source: &graph.Range{File: "w", Length: 4000}}
	again := *w
	again.Source = &graph.Range{File: "w", Length: 4000} // the same range, read twice
	rules, err := ParseRules(place)
	if err != nil {
		t.Fatal(err)
	}
	targets := []Target{{Profile{Name: "cpu", Align: 64, Memory: 3000, Mapped: true}, plain{}},
		{Profile{Name: "sim:0", Align: 64, MaxAlloc: 100_000}, plain{}}, {Profile{Name: "sim:1", Align: 64}, plain{}}}
	var plans []*Plan
	bounds := map[string]graph.Env{}
	for i, phase := range []string{"encode", "extend"} {
		p, err := Build(phase, tied(phase, []*graph.Tensor{w, &again}[i]), rules, targets)
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
		bounds[phase] = graph.Env{"n": n}
	}
	b, err := NewBudget(plans, bounds, policy)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func policyOf(t *testing.T, texts ...string) Policy {
	t.Helper()
	p := Policy{}
	for _, text := range texts {
		if err := p.Parse(text); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestBudget adds by hand: w is 4,000 bytes, a value of 16 elements 64.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		place  string
		policy []string
		space  graph.Space
		want   PhaseBudget // of encode; extend is alike
		peak   int64
	}{
		// x comes in and lives until the first sum is made, the second goes out: two
		// values at any time, of which one crosses.
		{"", nil, "cpu", PhaseBudget{"encode", 4000, 0, 64, 64, 0}, 4128},
		// w counts once for both nodes and phases.
		{"sim:0", nil, "sim:0", PhaseBudget{"encode", 4000, 0, 64, 64, 0}, 4128},
		// and once in each space that reads it.
		{"vision=sim:0,llm=sim:1", nil, "sim:0", PhaseBudget{"encode", 4000, 0, 64, 64, 0}, 4128},
		{"vision=sim:0,llm=sim:1", nil, "sim:1", PhaseBudget{"encode", 4000, 0, 64, 64, 0}, 4128},
		// a copy between devices takes pinned host memory, which phases share.
		{"vision=sim:0,llm=sim:1", nil, "cpu", PhaseBudget{"encode", 0, 0, 0, 64, 64}, 128},
		// released, yet needed in both phases
		{"vision=sim:0", []string{"sim:0=release:vision"}, "sim:0", PhaseBudget{"encode", 4000, 0, 64, 64, 0}, 4128},
	} {
		b := budgetOf(t, c.place, 16, policyOf(t, c.policy...))
		found := false
		for _, s := range b.Spaces {
			if s.Space != c.space {
				continue
			}
			found = true
			if s.Phases[0] != c.want || s.Peak != c.peak {
				t.Errorf("%q, %s: %+v, peak %d; want %+v, peak %d", c.place, c.space, s.Phases[0], s.Peak, c.want, c.peak)
			}
		}
		if !found {
			t.Errorf("%q: no budget of %s", c.place, c.space)
		}
	}
}

// TestBudgetCheck puts the limit at what is needed and one byte below.
func TestBudgetCheck(t *testing.T) {
	for _, c := range []struct {
		place, policy string
		n             int64
		want          string // in the error; "": none
	}{
		{"sim:0", "sim:0=limit:4128", 16, ""},
		{"sim:0", "sim:0=limit:4127", 16, "sim:0: 4128 bytes are needed, the limit of --memory sim:0=limit:4127 is 4127 bytes; phase encode takes the most: constants 4000"},
		{"", "cpu=limit:1GB", 16, ""}, // mapped weights do not count against the machine's memory
		{"", "cpu=limit:1GB", 1000, "mapped weights not counted, the memory of cpu is 3000 bytes"},
		{"sim:0", "sim:0=limit:1GB", 20_000, "one allocation of 160000 bytes is needed, the largest allocation of sim:0 is 100000 bytes"},
	} {
		err := budgetOf(t, c.place, c.n, policyOf(t, c.policy)).Check()
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q, %s, n = %d: %v, want %q", c.place, c.policy, c.n, err, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "6GiB": 6 << 30, "1.5 GB": 1_500_000_000, "512MiB": 512 << 20, "9007199254740993": 9007199254740993, "2kB": 2000, "7B": 7,
		"": 0, "0": 0, "-1": 0, "1e3": 0, "GiB": 0, "6Gib": 0, "99999999TB": 0, "0x10": 0, "NaN": 0, "1 2": 0, "1.2.3": 0,
	} {
		if n, err := ParseSize(text); n != want || (err == nil) != (want > 0) {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, n, err, want)
		}
	}
}

func TestPolicyParse(t *testing.T) {
	p := policyOf(t, "cuda=limit:6GiB,release:vision", "cuda:0=release:head", "cpu=keep:state")
	if s := p["cuda:0"]; s.Limit != 6<<30 || strings.Join(s.Release, " ") != "vision head" {
		t.Errorf("cuda:0: %+v", s)
	}
	for _, bad := range []string{"", "cpu", "=limit:1", "cpu=", "cpu=limit", "cpu=release:", "cpu=keep:weights", "cpu=keep:constants", "cpu=keep:state,release:llm", "cpu=limit:1,limit:2"} {
		if err := (Policy{}).Parse(bad); !errors.Is(err, ErrPolicy) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
