// Package gpu is what the GPU backends share: which nodes a kernel covers, the
// kernels' source, and devices, programs and launches over a [Driver]. A backend
// brings the driver: it binds an interface of the machine (CUDA, OpenCL) and knows
// nothing of graphs.
//
// What flows in: a partition (Compile), memory and shapes (Record). What flows out:
// a [Sequence] of launches with their arguments bound, which is submitted again and
// again without computing anything. Shapes are resolved once per size, from the
// inputs' shapes; a node whose result's shape only data tell has no kernel here and
// stays on the host.
//
// One source serves all drivers: kernels/dialect.h gives each language its spellings.
// Element types are arguments of kernels where that costs nothing, and parts of
// their names where it would.
package gpu

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Group is what one kernel of a plan covers: a node, or several that are fused. In
// and Out are the values it reads and makes; values between its nodes never exist.
type Group struct {
	Name    string
	Nodes   []*graph.Node
	In, Out []*graph.Value // nil: absent, not wanted
	Work    []*graph.Value // values between its nodes that have memory while it runs
	View    bool           // Out[0] is In[0] with another shape: nothing runs
	InPlace int            // Out[i] is written over In[i], a state, for i below this
	// Host marks inputs that the device does not read: they are known when a launch is
	// recorded, or not needed at all.
	Host []int
	// Layout says how a constant among the inputs is kept on the device; nil: as it is
	// stored.
	Layout map[int]Layout
	// Record adds the launches for the shapes at hand; nil for views.
	Record func(*Recorder) error
}

// A lowering proposes a kernel for a node, or for a pattern that ends in it. ok is
// false where it has none for this form. uses tells who reads a value: only one that
// nobody else reads may vanish inside a group. Without uses nothing is fused.
type lowering func(n *graph.Node, uses map[*graph.Value][]graph.Use) (g Group, ok bool)

// lowerings lists all kernels, fused patterns before single nodes. The first that
// accepts a node wins.
var lowerings = []lowering{
	lowerGated,
	lowerJoined,
	lowerProduct,
	lowerMatMul,
	lowerView,
	lowerRMSNorm,
	lowerLayerNorm,
	lowerOverState,
	lowerAttention,
	lowerSegmentedAttention,
	lowerRope,
	lowerTensorScatter,
	lowerSwishMul,
	lowerBinary,
	lowerUnary,
	lowerClip,
	lowerCast,
	lowerWhere,
	lowerTranspose,
	lowerExpand,
	lowerTile,
	lowerSlice,
	lowerSections,
	lowerConcat,
	lowerSplit,
	lowerGather,
	lowerGatherND,
	lowerScatterND,
	lowerReduce,
	lowerSoftmax,
	lowerArg,
	lowerTopK,
	lowerGatherBlocks,
	lowerDequantize,
}

// Groups groups the nodes of a graph into kernels, in an order that respects their
// dependencies. A node that no kernel covers is an error that wraps
// partition.ErrPlacement.
func Groups(g *graph.Graph) ([]Group, error) {
	uses := g.Uses()
	states := map[*graph.Value]bool{}
	for _, s := range g.States {
		states[s.In] = true
	}
	covered := map[*graph.Node]bool{}
	groups := make([]Group, 0, len(g.Nodes))
	for _, n := range slices.Backward(g.Nodes) { // from the end, so that a pattern is met at its last node
		if covered[n] {
			continue
		}
		group, ok := groupOf(n, uses, covered)
		if !ok {
			return nil, fmt.Errorf("%w: %s: a GPU has no kernel for this form", partition.ErrPlacement, n.ID())
		}
		for i := range group.InPlace {
			if !states[group.In[i]] {
				group.InPlace = 0
				break
			}
		}
		for _, m := range group.Nodes {
			covered[m] = true
		}
		groups = append(groups, group)
	}
	slices.Reverse(groups)
	return inOrder(groups), nil
}

// inOrder moves groups before those that read what they make, where a group's last node
// stands behind readers of its first.
func inOrder(groups []Group) []Group {
	maker := map[*graph.Value]int{}
	for i, g := range groups {
		for _, v := range g.Out {
			maker[v] = i
		}
	}
	out, done := make([]Group, 0, len(groups)), make([]bool, len(groups))
	var visit func(int)
	visit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true
		for _, v := range groups[i].In {
			if j, ok := maker[v]; ok && v != nil {
				visit(j)
			}
		}
		out = append(out, groups[i])
	}
	for i := range groups {
		visit(i)
	}
	return out
}

func groupOf(n *graph.Node, uses map[*graph.Value][]graph.Use, covered map[*graph.Node]bool) (Group, bool) {
	for _, l := range lowerings {
		if g, ok := l(n, uses); ok && !slices.ContainsFunc(g.Nodes, func(m *graph.Node) bool { return covered[m] }) {
			return g, true
		}
	}
	return Group{}, false
}

// Lower is Groups as plans want it.
func Lower(g *graph.Graph) ([]partition.Kernel, error) {
	groups, err := Groups(g)
	if err != nil {
		return nil, err
	}
	out := make([]partition.Kernel, len(groups))
	for i, g := range groups {
		out[i] = partition.Kernel{Name: g.Name, Nodes: g.Nodes, In: g.In, Out: g.Out, Work: g.Work, View: g.View, InPlace: g.InPlace}
	}
	return out, nil
}

// Supports returns nil if some kernel covers the node by itself, or why none does.
// Launches are laid out before they run: sized says that shapes are known by then.
func Supports(n *graph.Node, sized bool) error {
	if !sized {
		return fmt.Errorf("the shape of what this %s makes depends on data", n.OpName())
	}
	if _, ok := groupOf(n, nil, nil); !ok {
		return fmt.Errorf("there is no kernel for this form of %s", n.OpName())
	}
	return nil
}

// single is the group of one node.
func single(n *graph.Node) Group {
	return Group{Name: n.OpName(), Nodes: []*graph.Node{n}, In: n.Inputs, Out: n.Outputs}
}
