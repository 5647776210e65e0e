package qwen25vl

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// traced returns the number of patches that a vision graph was traced for, if it
// takes no other.
func (p *visionPart) traced() (int64, bool) {
	for name, in := range p.inputs {
		v := p.file.input(name)
		if in.meaning != "pixels" || v == nil || len(v.Type.Shape) != 2 {
			continue
		}
		return v.Type.Shape[0].Int()
	}
	return 0, false
}

// buildFixed raises a graph that was traced for one size of picture. Which grid that
// was, no file says: it is the one whose windows the graph's attention is cut into
// and whose indexes it holds, or computes.
func buildFixed(p *visionPart, patches int64, cfg *Config, table op.Table) (*encode, error) {
	var fits []Grid
	var found *encode
	reasons := map[string]bool{}
	refuse := func() error {
		var why []string
		for r := range reasons {
			why = append(why, r)
		}
		slices.Sort(why)
		return fmt.Errorf("%w: it was traced for %d patches, and no grid of so many explains its windows and indexes (%s); export it with dynamic extents", ErrFixedGrid, patches,
			strings.Join(why[:min(3, len(why))], "; "))
	}
	try := func(grids ...Grid) (*encode, error) {
		g, _ := p.file.model.Graph.Clone()
		e, err := raiseVision(p, g, cfg, table, grids)
		if err == nil {
			err = e.explained()
		}
		return e, err
	}
	for _, grid := range gridsOf(patches, cfg.Merge) {
		e, err := try(grid)
		if errors.Is(err, graph.ErrInvalid) {
			return nil, err
		}
		if err != nil {
			reasons[err.Error()] = true
			continue
		}
		found, fits = e, append(fits, grid)
	}
	if len(fits) == 0 {
		return nil, refuse()
	}
	if len(fits) > 1 {
		var err error
		if found, err = try(fits...); err != nil {
			return nil, fmt.Errorf("%w: it was traced for one of the grids %v, and nothing tells them apart: %w", ErrFixedGrid, fits, err)
		}
	}
	found.fixed = fits
	return found, nil
}

// gridsOf lists the grids of so many patches, in blocks of merge × merge: pictures
// first.
func gridsOf(patches, merge int64) []Grid {
	var out []Grid
	for t := int64(1); t <= min(patches, maxTracedFrames); t++ {
		if patches%t != 0 {
			continue
		}
		for h := merge; h <= patches/t/merge; h += merge {
			if w := patches / t / h; patches/t%h == 0 && w%merge == 0 {
				out = append(out, Grid{t, h, w})
			}
		}
	}
	return out
}

// maxTracedFrames bounds the frames (pairs of frames) of a traced video.
const maxTracedFrames = 64

// explained checks that all which a traced graph does to rows is that of its grids:
// its attention is segmented, and the indexes it holds are known ones.
func (e *encode) explained() error {
	samples, err := sampleIndexes(e.geometry, e.grids)
	if err != nil {
		return err
	}
	if r := e.report.Repaired; len(r) > 0 {
		return fmt.Errorf("it would compute something else than it was traced for: %s", r[0])
	}
	for i := range e.inputs {
		if e.inputs[i].meaning == "hoisted" {
			return fmt.Errorf("index %q is unlike any known one", e.graph.Inputs[i].Name)
		}
	}
	var orders []*graph.Node // that put rows into the windows' order, and the last one back
	for _, n := range e.graph.Nodes {
		if n.Is("Attention") {
			return fmt.Errorf("%s could not be cut into windows", n.ID())
		}
		if !n.Is("Gather") && !n.Is("GatherND") || n.Inputs[0].Const != nil || n.Inputs[1].Const == nil {
			continue
		}
		if unit := e.geometry.Merge * e.geometry.Merge; int64(n.Inputs[1].Const.Len())*unit >= e.grids[0].Patches() {
			orders = append(orders, n)
		}
	}
	for i, n := range orders {
		for _, s := range samples {
			want := s.WindowIndex
			if i > 0 && i == len(orders)-1 {
				want = s.ReverseIndex
			}
			if !sameInts(n.Inputs[1].Const, want) {
				return fmt.Errorf("%s takes rows in another order than that of grid %v", n.ID(), s.Grid)
			}
		}
	}
	return nil
}

// takes is an error for a grid that the graph does not take.
func (e *encode) takes(grid Grid) error {
	if err := e.geometry.check(grid); err != nil {
		return err
	}
	if e.fixed == nil || slices.Contains(e.fixed, grid) {
		return nil
	}
	var have []string
	for _, f := range e.fixed {
		have = append(have, f.String())
	}
	side := 14 // pixels of a patch
	return fmt.Errorf("%s: %w: input %q was traced for the grid %s alone, the picture is %s: give pictures of %d×%d pixels, or export the tower with dynamic extents",
		e.file, ErrFixedGrid, inPixels, strings.Join(have, " or "), grid, int(e.fixed[0].W)*side, int(e.fixed[0].H)*side)
}

// String writes the extents: frames, rows, columns.
func (g Grid) String() string { return fmt.Sprintf("%d×%d×%d", g.T, g.H, g.W) }
