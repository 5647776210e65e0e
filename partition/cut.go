package partition

import (
	"container/heap"

	"mnnconv/graph"
)

// cut turns the placed graph into steps: runs of nodes on one target, and the
// copies between them. Nodes are taken in an order that keeps a run going as
// long as its target has nodes that are ready, so that there are few partitions;
// a run is contiguous in that order, so partitions cannot wait for each other in
// a ring. A graph that has no order gives no steps: the verifier says why.
func cut(g *graph.Graph) []Step {
	waits := map[*graph.Node]int{}             // producers not yet run
	readers := map[*graph.Node][]*graph.Node{} // in node order
	for _, n := range g.Nodes {
		seen := map[*graph.Node]bool{}
		n.Reads(func(v *graph.Value) {
			if v.Def != nil && !seen[v.Def] {
				seen[v.Def] = true
				waits[n]++
				readers[v.Def] = append(readers[v.Def], n)
			}
		})
	}
	at := make(map[*graph.Node]int, len(g.Nodes))
	for i, n := range g.Nodes {
		at[n] = i
	}
	queues := map[string]*ready{} // per target; "" holds copies
	var order []string
	push := func(n *graph.Node) {
		key := n.Target
		if n.IsCopy() {
			key = ""
		}
		if _, ok := queues[key]; !ok {
			order = append(order, key)
			queues[key] = &ready{at: at}
		}
		heap.Push(queues[key], n)
	}
	for _, n := range g.Nodes {
		if waits[n] == 0 {
			push(n)
		}
	}
	done := func(n *graph.Node) {
		for _, r := range readers[n] {
			if waits[r]--; waits[r] == 0 {
				push(r)
			}
		}
	}
	var steps []Step
	var sorted []*graph.Node
	for len(sorted) < len(g.Nodes) {
		before := len(sorted)
		for queues[""].Len() > 0 { // copies first: they feed the others
			n := heap.Pop(queues[""]).(*graph.Node)
			steps = append(steps, Step{Copy: n})
			sorted = append(sorted, n)
			done(n)
		}
		for _, key := range order {
			if key == "" || queues[key].Len() == 0 {
				continue
			}
			p := &Partition{Target: key, Space: graph.Space(key)}
			for queues[key].Len() > 0 {
				n := heap.Pop(queues[key]).(*graph.Node)
				p.Nodes = append(p.Nodes, n)
				sorted = append(sorted, n)
				done(n)
			}
			steps = append(steps, Step{Partition: p})
			break
		}
		if len(sorted) == before {
			return nil
		}
	}
	g.Nodes = sorted
	uses := g.Uses()
	index := 0
	for _, s := range steps {
		if s.Partition != nil {
			s.Partition.Index = index
			index++
			s.Partition.boundary(uses)
		}
	}
	return steps
}

// boundary finds what enters and leaves the partition.
func (p *Partition) boundary(uses map[*graph.Value][]graph.Use) {
	inside := map[*graph.Node]bool{}
	for _, n := range p.Nodes {
		inside[n] = true
	}
	entered := map[*graph.Value]bool{}
	for _, n := range p.Nodes {
		n.Reads(func(v *graph.Value) {
			if v.Const == nil && !inside[v.Def] && !entered[v] {
				entered[v] = true
				p.Inputs = append(p.Inputs, v)
			}
		})
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			for _, u := range uses[v] {
				if u.Node == nil || !inside[u.Node] {
					p.Outputs = append(p.Outputs, v)
					break
				}
			}
		}
	}
}

// ready is a heap of nodes by their place in the graph, so that one target's
// nodes keep the graph's own order.
type ready struct {
	nodes []*graph.Node
	at    map[*graph.Node]int
}

func (r *ready) Len() int {
	if r == nil {
		return 0
	}
	return len(r.nodes)
}
func (r *ready) Less(i, j int) bool { return r.at[r.nodes[i]] < r.at[r.nodes[j]] }
func (r *ready) Swap(i, j int)      { r.nodes[i], r.nodes[j] = r.nodes[j], r.nodes[i] }
func (r *ready) Push(n any)         { r.nodes = append(r.nodes, n.(*graph.Node)) }
func (r *ready) Pop() any {
	n := r.nodes[len(r.nodes)-1]
	r.nodes = r.nodes[:len(r.nodes)-1]
	return n
}
