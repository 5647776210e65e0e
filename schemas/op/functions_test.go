package op

import (
	"context"
	"slices"
	"testing"

	"mnnconv/graph"
)

// TestFunctions runs the cases of each operator of the domain mnnconv on its body
// of standard operators.
func TestFunctions(t *testing.T) {
	have := map[*Op]bool{}
	for _, f := range Functions() {
		have[f.Op] = true
		for _, c := range f.Op.Cases() {
			t.Run(f.Op.Name+"/"+c.Name, func(t *testing.T) {
				g, _ := f.Body.Clone()
				for _, n := range g.Nodes {
					n.Attrs = resolve(n.Attrs, c.Attrs)
				}
				got, err := All().Run(context.Background(), g, c.In, nil)
				if err != nil {
					t.Fatal(err)
				}
				tol := max(c.Tol, 1e-6) // the sums run in another order
				if f.Op == Copy {
					tol = 0
				}
				for i, want := range c.Want {
					if err := same(got[i], want, tol); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	for key, o := range All() {
		if key.Domain == Mnnconv && !have[o] {
			t.Errorf("%s has no body in standard operators", key.Name)
		}
	}
}

// resolve puts the values of given attributes in the place of references.
func resolve(attrs, given []graph.Attr) []graph.Attr {
	var out []graph.Attr
	for _, a := range attrs {
		if r, ok := a.Value.(Ref); ok {
			i := slices.IndexFunc(given, func(g graph.Attr) bool { return g.Name == r.Attr })
			if i < 0 {
				continue
			}
			a.Value = given[i].Value
		}
		out = append(out, a)
	}
	return out
}
