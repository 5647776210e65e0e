// Package partition decides where each node of a graph runs, inserts the copies
// that follow, cuts the graph into partitions and has each target lower its own.
//
// What flows in: a raised graph, placement rules, and targets (device profiles
// with their lowering). What flows out: a [Plan], which says all of that in one
// place and is verified. Devices are data here: nothing is opened.
package partition

import (
	"fmt"

	"mnnconv/graph"
)

// Lowerer groups the nodes of a graph into the kernels of one backend. It is
// pure: it opens nothing.
type Lowerer interface {
	Lower(Profile, *graph.Graph) ([]Kernel, error)
}

// Supporter is a Lowerer that has kernels for some forms of an operator only.
type Supporter interface {
	// Supports returns nil if the node can be lowered, or why not. sized says that the
	// shapes of what it makes are known before it runs.
	Supports(n *graph.Node, sized bool) error
}

// Kernel is one launch of a partition: the nodes it covers, and the values it
// reads and makes. Other values between the nodes of a fused kernel never exist.
type Kernel struct {
	Name    string
	Nodes   []*graph.Node
	In, Out []*graph.Value // nil: absent, not wanted
	Work    []*graph.Value // values between its nodes that have memory while it runs
	View    bool           // Out[0] is In[0] with another shape
	InPlace int            // Out[i] is written over In[i], a state, for i below this
}

// Target is a device that nodes can be placed on.
type Target struct {
	Profile Profile
	Lowerer Lowerer
}

// Supports reports whether the target runs the node, or why not. sized says that the
// shapes of what it makes are known before it runs.
func (t Target) Supports(n *graph.Node, sized bool) error {
	if err := t.Profile.Supports(n); err != nil {
		return err
	}
	if s, ok := t.Lowerer.(Supporter); ok {
		if err := s.Supports(n, sized); err != nil {
			return fmt.Errorf("%s: %w", t.Profile.Name, err)
		}
	}
	return nil
}

// Partition is a run of nodes on one target, in topological order. Inputs are
// the values it reads from outside (constants apart), Outputs what others read
// of it; all of them live in the partition's space.
type Partition struct {
	Index   int
	Target  string
	Space   graph.Space
	Inputs  []*graph.Value
	Outputs []*graph.Value
	States  []graph.State // the graph's states that the partition writes
	Nodes   []*graph.Node
	Kernels []Kernel
}

// Graph returns the partition as a graph of its own, over the same nodes.
func (p *Partition) Graph() *graph.Graph {
	return &graph.Graph{Name: fmt.Sprintf("partition-%d", p.Index), Inputs: p.Inputs, Outputs: p.Outputs, States: p.States, Nodes: p.Nodes}
}

// Alone returns one kernel of the partition as a partition of its own, which makes
// all that the kernel makes.
func (p *Partition) Alone(k *Kernel) *Partition {
	one := &Partition{Index: p.Index, Target: p.Target, Space: p.Space, Nodes: k.Nodes, Kernels: []Kernel{*k}}
	inside, entered := map[*graph.Value]bool{}, map[*graph.Value]bool{}
	for _, n := range k.Nodes {
		n.Reads(func(v *graph.Value) {
			if v.Const == nil && !inside[v] && !entered[v] {
				entered[v] = true
				one.Inputs = append(one.Inputs, v)
			}
		})
		for _, v := range n.Outputs {
			inside[v] = v != nil
		}
	}
	for _, v := range k.Out {
		if v == nil {
			continue
		}
		one.Outputs = append(one.Outputs, v)
		for _, s := range p.States {
			if s.Out == v {
				one.States = append(one.States, s)
			}
		}
	}
	return one
}

// Step is what the schedule runs in order: a partition, or a copy between two
// spaces.
type Step struct {
	Partition *Partition  // nil for a copy
	Copy      *graph.Node // nil for a partition
}

// Plan is one phase's graph, placed, cut and lowered.
type Plan struct {
	Phase string
	Graph *graph.Graph
	Steps []Step

	targets []Target
}

// Build places the graph by the rules, inserts copies, cuts, lowers and
// verifies. The graph is changed: clone it first if it is needed again. targets
// holds every device the rules may name.
func Build(phase string, g *graph.Graph, rules []Rule, targets []Target) (*Plan, error) {
	if err := place(phase, g, rules, targets); err != nil {
		return nil, err
	}
	insertCopies(g)
	return planned(phase, g, targets)
}

// planned cuts and lowers a graph that is placed, with its copies, and verifies the plan.
func planned(phase string, g *graph.Graph, targets []Target) (*Plan, error) {
	p := &Plan{Phase: phase, Graph: g, Steps: cut(g), targets: targets}
	if err := p.lower(); err != nil {
		return nil, err
	}
	return p, p.Verify()
}

// Verify checks the plan's graph and that the steps run every node once, each
// after what it reads, in its own space.
func (p *Plan) Verify() error {
	if err := graph.Verify(p.Graph); err != nil {
		return fmt.Errorf("plan of phase %s: %w", p.Phase, err)
	}
	ready := map[*graph.Value]bool{}
	for _, v := range p.Graph.Inputs {
		ready[v] = true
	}
	waiting := map[*graph.Node]bool{}
	for _, n := range p.Graph.Nodes {
		waiting[n] = true
	}
	for i, s := range p.Steps {
		if (s.Partition == nil) == (s.Copy == nil) {
			return fmt.Errorf("%w: plan of phase %s: step %d is no partition and no copy, or both", graph.ErrInvalid, p.Phase, i)
		}
		nodes := []*graph.Node{s.Copy}
		if s.Partition != nil {
			nodes = s.Partition.Nodes
		}
		for _, n := range nodes {
			if err := p.inPlace(s, n); err != nil {
				return err
			}
			if !waiting[n] {
				return fmt.Errorf("%w: plan of phase %s: %s runs a second time, or is not in the graph", graph.ErrInvalid, p.Phase, n.ID())
			}
			delete(waiting, n)
			var err error
			n.Reads(func(v *graph.Value) {
				if v.Const == nil && !ready[v] && err == nil {
					err = fmt.Errorf("%w: plan of phase %s: %s runs before value %q is made", graph.ErrInvalid, p.Phase, n.ID(), v.Name)
				}
			})
			if err != nil {
				return err
			}
			for _, v := range n.Outputs {
				if v != nil {
					ready[v] = true
				}
			}
		}
	}
	for _, n := range p.Graph.Nodes {
		if waiting[n] {
			return fmt.Errorf("%w: plan of phase %s never runs %s", graph.ErrInvalid, p.Phase, n.ID())
		}
	}
	return nil
}

// inPlace checks that a node stands in a step of its kind and on its target.
func (p *Plan) inPlace(s Step, n *graph.Node) error {
	switch {
	case n.IsCopy() != (s.Copy != nil):
		return fmt.Errorf("%w: plan of phase %s: %s: copies, and nothing else, are steps of their own", graph.ErrInvalid, p.Phase, n.ID())
	case s.Copy != nil:
		return nil
	case n.Target != s.Partition.Target || s.Partition.Space != graph.Space(n.Target):
		return fmt.Errorf("%w: plan of phase %s: %s is placed on %s and runs on %s in %s", graph.ErrInvalid, p.Phase, n.ID(), n.Target, s.Partition.Target, s.Partition.Space)
	}
	return nil
}

// Profile returns the profile of a target that the plan was made for; ok is false if
// it was not.
func (p *Plan) Profile(target string) (profile Profile, ok bool) {
	t, err := find(p.targets, target)
	return t.Profile, err == nil
}

// Partitions returns the partitions in order.
func (p *Plan) Partitions() []*Partition {
	var out []*Partition
	for _, s := range p.Steps {
		if s.Partition != nil {
			out = append(out, s.Partition)
		}
	}
	return out
}

// Passed are the values that one partition makes and another one reads in the same
// space, states apart.
func (p *Plan) Passed() map[*graph.Value]bool {
	state := p.Graph.StateValues()
	out, made := map[*graph.Value]bool{}, map[*graph.Value]bool{}
	for _, part := range p.Partitions() {
		for _, v := range part.Inputs {
			if made[v] {
				out[v] = true
			}
		}
		for _, v := range part.Outputs {
			made[v] = !state[v]
		}
	}
	return out
}

// Copies returns the copy nodes in order.
func (p *Plan) Copies() []*graph.Node {
	var out []*graph.Node
	for _, s := range p.Steps {
		if s.Copy != nil {
			out = append(out, s.Copy)
		}
	}
	return out
}

func (p *Plan) lower() error {
	uses := p.Graph.Uses()
	for _, part := range p.Partitions() {
		t, err := find(p.targets, part.Target)
		if err != nil {
			return err
		}
		made := map[*graph.Value]bool{}
		for _, v := range part.Outputs {
			made[v] = true
		}
		for _, st := range p.Graph.States {
			if made[st.Out] {
				part.States = append(part.States, st)
			}
		}
		if part.Kernels, err = t.Lowerer.Lower(t.Profile, part.Graph()); err != nil {
			return fmt.Errorf("partition %d on %s: %w", part.Index, part.Target, err)
		}
		if err := part.wholeStates(p.Graph.States, uses); err != nil {
			return fmt.Errorf("partition %d on %s: %w", part.Index, part.Target, err)
		}
	}
	return nil
}
