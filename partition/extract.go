package partition

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Extract is a piece of a plan as a plan of its own, of one partition on the same
// target. Its inputs and outputs lie in the target's space: whoever runs it brings
// and fetches them.
type Extract struct {
	Plan *Plan
	// In and Out are the values of the original plan that the partition's Inputs and
	// Outputs stand for.
	In, Out []*graph.Value
	// Groups are the original nodes, and Kernels what the target makes of each group
	// here: one kernel of all its nodes where it is fused as in the original.
	Groups [][]*graph.Node
}

// Partition returns the only partition.
func (x *Extract) Partition() *Partition { return x.Plan.Steps[0].Partition }

// Extract takes groups of nodes of one target, each in order, out of the plan. A
// value that one group makes and another reads is an output and an input of the
// extract, so that each group may be fed with values of its own. Symbols that the
// inputs do not tell get their values of env. The plan stays as it is.
func (p *Plan) Extract(groups [][]*graph.Node, env graph.Env) (*Extract, error) {
	e := extraction{uses: p.Graph.Uses(), env: env, g: graph.New(p.Phase), x: &Extract{Groups: groups}}
	if len(groups) == 0 || len(groups[0]) == 0 {
		return nil, fmt.Errorf("%w: nothing to take out of phase %s", graph.ErrInvalid, p.Phase)
	}
	target := groups[0][0].Target
	t, err := find(p.targets, target)
	if err != nil {
		return nil, err
	}
	e.space = graph.Space(target)
	for i, nodes := range groups {
		e.group(i, nodes, p.Graph.States)
	}
	e.bind()
	part := &Partition{Target: target, Space: e.space, Inputs: e.g.Inputs, Outputs: e.g.Outputs, States: e.g.States, Nodes: e.g.Nodes}
	if part.Kernels, err = t.Lowerer.Lower(t.Profile, part.Graph()); err != nil {
		return nil, fmt.Errorf("phase %s on %s: %w", p.Phase, target, err)
	}
	e.x.Plan = &Plan{Phase: p.Phase, Graph: e.g, Steps: []Step{{Partition: part}}, targets: p.targets}
	return e.x, nil
}

// extraction is the state of one Extract.
type extraction struct {
	uses  map[*graph.Value][]graph.Use
	env   graph.Env
	space graph.Space
	g     *graph.Graph
	x     *Extract
}

// group copies one group's nodes.
func (e *extraction) group(index int, nodes []*graph.Node, states []graph.State) {
	inside := map[*graph.Node]bool{}
	for _, n := range nodes {
		inside[n] = true
	}
	here := map[*graph.Value]*graph.Value{} // of the plan → of the extract
	value := func(v *graph.Value) *graph.Value {
		if v == nil {
			return nil
		}
		w := here[v]
		if w != nil {
			return w
		}
		if v.Const != nil {
			w = e.g.NewConst(e.name(v, index), v.Const)
		} else {
			w = e.g.NewValue(e.name(v, index), v.Type)
			w.Type.Space = e.space
		}
		w.From, here[v] = v.From, w
		return w
	}
	all := func(vs []*graph.Value) []*graph.Value {
		out := make([]*graph.Value, len(vs))
		for i, v := range vs {
			out[i] = value(v)
		}
		return out
	}
	for _, n := range nodes {
		n.Reads(func(v *graph.Value) {
			if v.Const == nil && !inside[v.Def] && here[v] == nil {
				e.g.Inputs, e.x.In = append(e.g.Inputs, value(v)), append(e.x.In, v)
			}
		})
		m := *n
		m.Inputs, m.Outputs = all(n.Inputs), all(n.Outputs)
		m.Attrs = slices.Clone(n.Attrs)
		for i, v := range m.Outputs {
			if v != nil {
				v.Def, v.Index = &m, i
			}
		}
		m.Bodies = nil
		for _, b := range n.Bodies {
			body, _ := b.Graph.Clone()
			m.Bodies = append(m.Bodies, &graph.Body{Attr: b.Attr, Graph: body, Outer: all(b.Outer)})
		}
		e.g.Append(&m)
	}
	for _, n := range nodes {
		for _, v := range n.Outputs {
			if v != nil && slices.ContainsFunc(e.uses[v], func(u graph.Use) bool { return u.Node == nil || !inside[u.Node] }) {
				e.g.Outputs, e.x.Out = append(e.g.Outputs, here[v]), append(e.x.Out, v)
			}
		}
	}
	for _, s := range states {
		if s.Out.Def != nil && inside[s.Out.Def] && here[s.In] != nil {
			e.g.States = append(e.g.States, graph.State{In: here[s.In], Out: here[s.Out]})
		}
	}
}

// name keeps names apart where several groups have the same value.
func (e *extraction) name(v *graph.Value, group int) string {
	if len(e.x.Groups) == 1 {
		return v.Name
	}
	return fmt.Sprintf("%s.%d", v.Name, group)
}

// bind gives symbols that no input tells the values of env.
func (e *extraction) bind() {
	told := map[string]bool{}
	for _, v := range e.g.Inputs {
		for _, d := range v.Type.Shape {
			if name, _, _, ok := d.Linear(); ok {
				told[name] = true
			}
		}
	}
	for _, s := range e.g.States { // a state is made before there are inputs
		for _, d := range s.In.Type.Shape {
			if name, _, _, ok := d.Linear(); ok {
				told[name] = false
			}
		}
	}
	with := map[string]graph.Dim{}
	for name, n := range e.env {
		if !told[name] {
			with[name] = graph.Const(n)
		}
	}
	if len(with) == 0 {
		return
	}
	seen := map[*graph.Value]bool{}
	subst := func(v *graph.Value) {
		if v != nil && v.Const == nil && !seen[v] {
			seen[v] = true
			v.Type.Shape = v.Type.Shape.Subst(with)
		}
	}
	for _, v := range e.g.Inputs {
		subst(v)
	}
	for _, n := range e.g.Nodes {
		for _, v := range n.Outputs {
			subst(v)
		}
	}
}
