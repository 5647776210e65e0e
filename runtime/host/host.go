// Package host runs partitions with kernels written for the processor. The cpu
// and sim backends share it: they differ in whose memory the tensors lie in.
//
// What flows in: a list of nodes in order, with the values that enter and leave
// (Compile), then concrete input shapes (Program.Frame), then data (Frame.Run).
// A frame fixes all shapes that follow from the input shapes, lays its tensors
// out in one arena and runs a flat list of steps without allocating. Nodes whose
// result shapes depend on data (NonZero, Loop, a computed Slice) are resolved
// while running.
//
// A fast kernel is a file of its own; every node without one runs its
// operator's reference evaluation.
package host

import (
	"context"
	"slices"

	"mnnconv/graph"
)

// Call is one invocation of a kernel. Tensors are aligned with the group's In
// and Out; absent optional inputs are nil. Inputs are never written.
type Call struct {
	Ctx     context.Context
	Pool    *Pool
	In, Out []*graph.Tensor
	memo    any
	scratch *[]uint8 // that all steps of a frame share
}

// optional returns input i, or nil where it is absent.
func (c *Call) optional(i int) *graph.Tensor {
	if i >= len(c.In) {
		return nil
	}
	return c.In[i]
}

// shared returns n bytes, whatever they are, that a kernel may use until it returns.
func (c *Call) shared(n int) []uint8 {
	if c.scratch == nil {
		c.scratch = new([]uint8)
	}
	if n > len(*c.scratch) {
		*c.scratch = make([]uint8, n)
	}
	return (*c.scratch)[:n]
}

// Run does the parts of a kernel, see [Pool.Run].
func (c *Call) Run(n int, parts Parts) error { return c.Pool.Run(c.Ctx, n, parts) }

// RunStretches is the same of stretches, see [Pool.RunStretches].
func (c *Call) RunStretches(n int, long Stretches) error {
	return c.Pool.RunStretches(c.Ctx, n, long)
}

// memo returns the T that the kernel keeps from call to call of one step, so
// that describing its parts does not allocate again.
func memo[T any](c *Call) *T {
	if c.memo == nil {
		c.memo = new(T)
	}
	return c.memo.(*T)
}

// Kernel computes a group. Shapes are in the tensors; outputs are allocated.
type Kernel func(*Call) error

// Group is what one kernel covers: a node, or several that are fused. In and Out
// are the values it reads and makes; values inside a fused group never exist.
type Group struct {
	Name   string
	Nodes  []*graph.Node
	In     []*graph.Value // nil: absent optional input
	Out    []*graph.Value // nil: not wanted
	Kernel Kernel         // nil: the operator's reference evaluation
	// View marks kernels that do nothing: Out[0] is In[0] with another shape.
	View bool
	// InPlace marks groups whose Out[0] is written over In[0]: a state.
	InPlace bool

	region *region // of products, where the kernel is one
}

// A lowering proposes a kernel for the node, or for a pattern that ends in it.
// ok is false where it has none for this form. uses tells who reads a value:
// only a value that nobody else reads may vanish inside a group.
type lowering func(n *graph.Node, uses map[*graph.Value][]graph.Use) (g Group, ok bool)

// lowerings lists all fast kernels, fused patterns before single nodes. The
// first that accepts a node wins.
var lowerings = []lowering{
	lowerGated,
	lowerJoined,
	lowerProduct,
	lowerMatMulInteger,
	lowerView,
	lowerScatterState,
	lowerRMSNorm,
	lowerLayerNorm,
	lowerAttention,
	lowerSegmentedAttention,
	lowerQuantizeVectors,
	lowerSoftmax,
	lowerSwishMul,
	lowerElementwise,
	lowerUnary,
	lowerCast,
	lowerRope,
	lowerTranspose,
	lowerExpand,
	lowerSlice,
	lowerConcat,
	lowerSplit,
	lowerGatherColumns,
	lowerGather,
	lowerGatherBlockQuantized,
	lowerScatterND,
	lowerTopK,
}

// Lower groups the nodes of a graph into kernels, in an order that respects
// their dependencies. It opens nothing and looks only at the graph. The arithmetic of
// products is for math to choose.
func Lower(g *graph.Graph, math Math) []Group {
	uses := g.Uses()
	states := map[*graph.Value]bool{}
	for _, s := range g.States {
		states[s.In] = true
	}
	covered := map[*graph.Node]bool{}
	groups := make([]Group, 0, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- { // from the end, so that a pattern is met at its last node
		n := g.Nodes[i]
		if covered[n] {
			continue
		}
		group := single(n)
		for _, l := range lowerings {
			if k, ok := l(n, uses); ok && !k.anyCovered(covered) && k.quantise(math) {
				group = k
				break
			}
		}
		if group.InPlace && !states[group.In[0]] {
			group = single(n)
		}
		for _, m := range group.Nodes {
			covered[m] = true
		}
		groups = append(groups, group)
	}
	slices.Reverse(groups)
	return inOrder(groups, uses)
}

// inOrder moves groups before those that read what they make: a group that covers
// several nodes stands where its last one stood. What is written in place is so after
// all who read what was there.
func inOrder(groups []Group, uses map[*graph.Value][]graph.Use) []Group {
	of := map[*graph.Node]int{}
	for i, g := range groups {
		for _, n := range g.Nodes {
			of[n] = i
		}
	}
	placed := make([]bool, len(groups))
	ordered := make([]Group, 0, len(groups))
	var place func(i int)
	place = func(i int) {
		if placed[i] {
			return
		}
		placed[i] = true
		for _, n := range groups[i].Nodes {
			n.Reads(func(v *graph.Value) {
				if from, ok := of[v.Def]; ok {
					place(from)
				}
			})
		}
		if groups[i].InPlace {
			for _, u := range uses[groups[i].In[0]] {
				if from, ok := of[u.Node]; ok {
					place(from)
				}
			}
		}
		ordered = append(ordered, groups[i])
	}
	for i := range groups {
		place(i)
	}
	return ordered
}

// single is the group of one node that its operator's reference computes.
func single(n *graph.Node) Group {
	return Group{Name: n.OpName(), Nodes: []*graph.Node{n}, In: n.Inputs, Out: n.Outputs}
}

func (g *Group) anyCovered(covered map[*graph.Node]bool) bool {
	for _, n := range g.Nodes {
		if covered[n] {
			return true
		}
	}
	return false
}
