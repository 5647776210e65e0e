package partition

import (
	"fmt"

	"mnnconv/graph"
)

// wholeStates returns an error where a kernel only converts a state for another one to
// read: it would do so to all of it at every step. What reads a state of a narrower type
// converts what it reads as it does.
func (p *Partition) wholeStates(states []graph.State, uses map[*graph.Value][]graph.Use) error {
	of := map[*graph.Value]graph.State{}
	for _, s := range states {
		of[s.Out] = s
	}
	for _, k := range p.Kernels {
		for _, n := range k.Nodes {
			s, ok := of[n.In(0)]
			if !ok || !n.Is("Cast") && !n.Is("DequantizeLinear") || reads(k, n.Outputs[0]) {
				continue
			}
			read := n.Outputs[0]
			if d := uses[read]; len(d) == 1 && d[0].Node != nil && d[0].Node.Is("Cast") { // dequantised, and then cast
				read = d[0].Node.Outputs[0]
			}
			return fmt.Errorf("%w: %s: attention of %s over the state %q of %s is not there: it would be converted as a whole at every step. Keep the state as %s (--state), or place its layer elsewhere",
				ErrPlacement, n.ID(), read.Type.DType, s.In.Name, s.In.Type.DType, read.Type.DType)
		}
	}
	return nil
}

// reads reports whether one of a kernel's nodes reads a value.
func reads(k Kernel, v *graph.Value) (found bool) {
	for _, n := range k.Nodes {
		n.Reads(func(x *graph.Value) { found = found || x == v })
	}
	return found
}
