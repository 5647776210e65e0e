package mnnconv

import (
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// Widened is a stage that nobody asked a type of float for, and whose numbers, in
// published models, may be too large for the one that its export computes in.
type Widened struct {
	Stage    string
	From, To graph.DType
}

// String says what the stage computes in, why, and what else there is.
func (w Widened) String() string {
	return fmt.Sprintf("%s computes in %s: %s overflows there; --dtype %s=%s keeps the export's", w.Stage, w.To, w.From, w.Stage, passes.TypeName(w.From))
}

// WidenedNotes says of each stage in Widened what it computes in, and why.
func (s *Source) WidenedNotes() []string {
	var out []string
	for _, w := range s.Widened {
		out = append(out, w.String())
	}
	return out
}

// apply has the stage's nodes in a graph compute in its type.
func (w Widened) apply(g *graph.Graph, o Options) error {
	types, err := passes.ParseTypes(w.Stage + "=" + passes.TypeName(w.To))
	if err == nil {
		_, err = types.Apply(g, o.Load.Table)
	}
	return err
}

// widen has stages that may overflow float16 compute in a type that holds them, if their
// export computes in it and no rule for types, of the options or of a package, names a
// node of theirs. A package that is not cut anew keeps the type that it was written with.
func (s *Source) widen(o Options) error {
	if err := s.findWidened(o); err != nil || len(s.Widened) == 0 {
		return err
	}
	on := func(n *graph.Node) string { return n.Target }
	if s.Package == nil || s.Recut(o) {
		d, err := o.directions(s)
		if err != nil {
			return err
		}
		on = func(n *graph.Node) string { return partition.TargetOf(n, d.rules) }
	} else if !slices.ContainsFunc(s.Widened, func(w Widened) bool { return w.From == w.To }) {
		return nil
	} else if !s.retyped { // written before types were chosen: its plan is of other graphs
		if err := s.checkCut(o); err != nil {
			return err
		}
	}
	var err error
	if s.Widened, err = s.widenedOn(on, o); err != nil {
		return err
	}
	s.retyped = true
	for _, ph := range s.Phases {
		for _, w := range s.Widened {
			if err := w.apply(ph.Graph, o); err != nil {
				return fmt.Errorf("phase %s: %w", ph.Name, err)
			}
		}
	}
	return nil
}

// findWidened lists the stages that are left to [Source.widen], with the types that they
// compute in now.
func (s *Source) findWidened(o Options) error {
	asked := []*passes.Types{o.Load.Types}
	if s.Package != nil && s.Package.Types != "" {
		t, err := passes.ParseTypes(s.Package.Types)
		if err != nil {
			return fmt.Errorf("%w: its plan's types: %w", pack.ErrDamaged, err)
		}
		asked = append(asked, t)
	}
	for _, stage := range s.Info.Overflows {
		nodes, err := s.nodes(stage)
		if err != nil {
			return err
		}
		w := Widened{stage, passes.TypeOf(nodes), passes.TypeOf(nodes)}
		if s.Package != nil && s.Package.Widened[stage] == graph.Float16.String() {
			w.From = graph.Float16
		}
		if w.From == graph.Float16 && !slices.ContainsFunc(asked, func(t *passes.Types) bool { return slices.ContainsFunc(nodes, t.Match) }) {
			s.Widened = append(s.Widened, w)
		}
	}
	return nil
}

// nodes lists the nodes of a stage in all phases.
func (s *Source) nodes(stage string) (out []*graph.Node, err error) {
	match, err := graph.ParsePattern(stage)
	if err != nil {
		return nil, err
	}
	for _, ph := range s.Phases {
		for _, n := range ph.Graph.Nodes {
			if match(n) {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// widenedOn returns the stages with the types that they get on the devices that on names.
func (s *Source) widenedOn(on func(*graph.Node) string, o Options) ([]Widened, error) {
	out := slices.Clone(s.Widened)
	for i, w := range out {
		nodes, err := s.nodes(w.Stage)
		if err != nil {
			return nil, err
		}
		var devices []string
		for _, n := range nodes {
			if d := on(n); !slices.Contains(devices, d) {
				devices = append(devices, d)
			}
		}
		targets, err := o.targets(devices)
		if err != nil {
			return nil, err
		}
		types := wideTypes(devices, slices.ContainsFunc(nodes, o.coded))
		lacks := func(t partition.Target) bool {
			return len(t.Profile.DTypes) > 0 && !slices.Contains(t.Profile.DTypes, types[0].String())
		}
		if out[i].To = types[0]; slices.ContainsFunc(targets, lacks) {
			out[i].To = types[1]
		}
	}
	return out, nil
}

// coded reports whether a node multiplies with codes, or will once weights are quantised.
func (o Options) coded(n *graph.Node) bool {
	return n.Domain == op.Microsoft && n.Op == "MatMulNBits" || o.Quantize.Codes(n)
}

// wideTypes are the types that hold what float16 does not, the better one first. Processors
// read weights of float16 beside activations of float32, and lose nothing; GPUs have
// tensor cores for bfloat16, but not for products of codes, which bfloat16 would only
// take digits of scales from.
func wideTypes(devices []string, coded bool) [2]graph.DType {
	if !coded && slices.ContainsFunc(devices, isGPU) {
		return [2]graph.DType{graph.BFloat16, graph.Float32}
	}
	return [2]graph.DType{graph.Float32, graph.BFloat16}
}

// isGPU reports whether a device is neither the processor nor acted by it.
func isGPU(device string) bool {
	kind, _, _ := strings.Cut(device, ":")
	return kind != "cpu" && kind != "sim"
}

// build plans a phase by rules. Its graph is changed.
func build(phase string, g *graph.Graph, rules []partition.Rule, targets []partition.Target) (*partition.Plan, error) {
	if err := storeScales(g, func(n *graph.Node) string { return partition.TargetOf(n, rules) }); err != nil {
		return nil, err
	}
	return partition.Build(phase, g, rules, targets)
}

// storeScales has scales be constants where kernels of GPUs read them.
func storeScales(g *graph.Graph, on func(*graph.Node) string) error {
	return passes.StoreScales(g, func(n *graph.Node) bool { return isGPU(on(n)) })
}
