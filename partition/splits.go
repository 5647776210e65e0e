package partition

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// Split is a place where a phase's graph may be cut: everything before its path on
// one side, its path and everything after on the other.
type Split struct {
	Phase    string         // as the caller names it
	Before   string         // the canonical path that starts the second part
	Named    bool           // by the user, rather than a border of stages or layers
	Values   []*graph.Value // made before and read after
	Inputs   []*graph.Value // graph inputs that the second part reads
	States   []graph.State  // whose memory lies with the second part; no state is cut in two
	Bytes    graph.Dim      // of Values together
	Inside   *Inside        // the cheapest place before the next split; nil: none
	Cheaper  string         // a neighbour that moves fewer bytes; empty: none
	position int            // in the order of units
}

// Inside is the cheapest place to cut within a stage or layer.
type Inside struct {
	Before string // the path of the node that would start the second part
	Values int
	Bytes  graph.Dim
}

// ErrSplit: there is nothing to cut at a path.
var ErrSplit = errors.New("no split point")

// Splits lists the places where a raised graph may be cut: between stages and
// between layers, by the canonical paths of its nodes, and before the first node of
// each path in named that a node has. at gives the symbols the values to compare
// bytes by. The graph is not changed.
func Splits(phase string, g *graph.Graph, named []string, at graph.Env) ([]Split, error) {
	s := &splitter{g: g, phase: phase, at: at, state: g.StateValues()}
	s.sort()
	var out []Split
	for i, n := range s.nodes {
		if i == 0 || s.unit[n] == s.unit[s.nodes[i-1]] {
			continue
		}
		if sp, ok := s.cut(i); ok {
			sp.Before = s.unit[n]
			out = append(out, sp)
		}
	}
	var errs []error
	for _, path := range named {
		i := slices.IndexFunc(s.nodes, func(n *graph.Node) bool { return n.Path == path || strings.HasPrefix(n.Path, path+".") })
		sp, ok := s.cut(i)
		switch {
		case i < 0:
			continue // of another phase; the caller knows all
		case !ok:
			errs = append(errs, fmt.Errorf("%w: before %q: nothing comes before it, or what comes before reads what comes after", ErrSplit, path))
		case !slices.ContainsFunc(out, func(o Split) bool { return o.position == i }):
			sp.Before, sp.Named = path, true
			out = append(out, sp)
		}
	}
	slices.SortStableFunc(out, func(a, b Split) int { return a.position - b.position })
	s.compare(out)
	return out, errors.Join(errs...)
}

// splitter is one graph with its nodes sorted into units: stages and layers.
type splitter struct {
	g     *graph.Graph
	phase string
	at    graph.Env
	state map[*graph.Value]bool
	nodes []*graph.Node
	unit  map[*graph.Node]string
	pos   map[*graph.Node]int
	uses  map[*graph.Value][]graph.Use
}

// unitOf is the stage or the layer of a canonical path: "llm.layers.3", "vision.stem",
// "embed".
func unitOf(path string) string {
	parts := strings.Split(path, ".")
	for i := 1; i < len(parts); i++ {
		if _, err := strconv.Atoi(parts[i]); err == nil {
			return strings.Join(parts[:i+1], ".")
		}
	}
	if len(parts) > 1 && (parts[0] == "embed" || parts[0] == "head") {
		return parts[0]
	}
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// sort orders nodes by unit, units by their place among the stages and layers, and
// keeps the graph's order within a unit. A node without a path goes with its first
// reader.
func (s *splitter) sort() {
	s.uses = s.g.Uses()
	s.unit, s.pos = map[*graph.Node]string{}, map[*graph.Node]int{}
	for _, n := range slices.Backward(s.g.Nodes) {
		if s.unit[n] = unitOf(n.Path); n.Path != "" {
			continue
		}
		for _, v := range n.Outputs {
			if v != nil && len(s.uses[v]) > 0 && s.uses[v][0].Node != nil {
				s.unit[n] = s.unit[s.uses[v][0].Node]
				break
			}
		}
	}
	last := map[string]int{} // layers end in order, also where an exporter writes parts of them early
	for i, n := range s.g.Nodes {
		last[s.unit[n]] = i
	}
	s.nodes = slices.Clone(s.g.Nodes)
	slices.SortStableFunc(s.nodes, func(a, b *graph.Node) int { return last[s.unit[a]] - last[s.unit[b]] })
	for i, n := range s.nodes {
		s.pos[n] = i
	}
}

// cut describes the cut before node i; ok is false if values would flow back.
func (s *splitter) cut(i int) (sp Split, ok bool) {
	if i <= 0 {
		return sp, false
	}
	sp = Split{Phase: s.phase, position: i}
	seen := map[*graph.Value]bool{}
	ok = true
	for k, n := range s.nodes {
		n.Reads(func(v *graph.Value) {
			if v.Const != nil || seen[v] {
				return
			}
			switch {
			case v.Def == nil:
				if k >= i && !s.state[v] {
					sp.Inputs = append(sp.Inputs, v)
					seen[v] = true
				}
			case k < i && s.pos[v.Def] >= i:
				ok = false
			case k >= i && s.pos[v.Def] < i:
				seen[v] = true
				sp.Values = append(sp.Values, v)
				sp.Bytes = sp.Bytes.Add(BytesOf(v.Type))
				ok = ok && !s.state[v] // a state is written and read on one side
			}
		})
	}
	for _, st := range s.g.States {
		if st.Out.Def != nil && s.pos[st.Out.Def] >= i {
			sp.States = append(sp.States, st)
		}
	}
	return sp, ok && len(sp.Values) > 0
}

// size is the bytes of a formula at the symbols' values; what is unknown is large.
func (s *splitter) size(d graph.Dim) int64 {
	if n, err := d.Eval(s.at); err == nil {
		return n
	}
	return 1 << 62
}

// compare finds the cheapest place between splits, and for each split the
// neighbour that is cheaper.
func (s *splitter) compare(splits []Split) {
	for k := range splits {
		sp := &splits[k]
		end := len(s.nodes)
		if k+1 < len(splits) {
			end = splits[k+1].position
		}
		for i := sp.position + 1; i < end; i++ {
			in, ok := s.cut(i)
			if ok && (sp.Inside == nil || s.size(in.Bytes) < s.size(sp.Inside.Bytes)) {
				sp.Inside = &Inside{s.nodes[i].Path, len(in.Values), in.Bytes}
			}
		}
		best := s.size(sp.Bytes)
		for _, j := range []int{k - 1, k + 1} {
			if j >= 0 && j < len(splits) && s.size(splits[j].Bytes) < best {
				best, sp.Cheaper = s.size(splits[j].Bytes), splits[j].Before
			}
		}
	}
}
