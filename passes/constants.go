package passes

import (
	stdcontext "context"

	"mnnconv/graph"
)

// constants turns Constant nodes, also those of bodies, into constants.
func constants(c *context) error { return c.constants(c.g) }

func (c *context) constants(g *graph.Graph) error {
	kept := g.Nodes[:0]
	for _, n := range g.Nodes {
		for _, b := range n.Bodies {
			if err := c.constants(b.Graph); err != nil {
				return err
			}
		}
		if !n.Is("Constant") || n.Out(0) == nil {
			kept = append(kept, n)
			continue
		}
		outs, err := c.table.Eval(stdcontext.Background(), n, nil, nil)
		if err != nil {
			return err
		}
		v := n.Outputs[0]
		v.Const, v.Type, v.Def = outs[0], outs[0].Type(), nil
	}
	g.Nodes = kept
	return nil
}
