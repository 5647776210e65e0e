package qwen25vl

import (
	"fmt"
	"path/filepath"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// inPixels is the encode phase's input of pixel values: float [patches, values].
// Its other inputs have the names of their meanings.
const inPixels = "pixel_values"

// encode is the phase from pixels and indexes to image rows.
type encode struct {
	graph    *graph.Graph
	inputs   []encodeInput // aligned with graph.Inputs
	geometry Geometry
	pixelRow int64 // values per patch
	width    int64 // of an image row
	hoisted  []passes.Hoisted
	meanings []string // of hoisted, aligned; "": none
	grid     string   // the input that hoisted values were computed from
	file     string
	grids    []Grid    // the samples that decided what the graph computes
	rows     graph.Dim // of a picture: a symbol, or a number where the graph was traced for one
	fixed    []Grid    // the only grids that the graph takes; nil: all
	report   *passes.Report
}

// encodeInput fills one input of the graph.
type encodeInput struct {
	meaning string // "pixels", a name of meanings, or "hoisted"
	hoisted int
}

// probeGrids are sample grids on which a vision graph's indexes are compared with
// the canonical ones: one window, ragged windows on both axes, two equal windows,
// a video of ragged windows, and a larger picture.
var probeGrids = []Grid{{1, 8, 8}, {1, 12, 20}, {1, 16, 8}, {1, 6, 10}, {2, 6, 8}}

// windowCandidates are window sizes in merged tokens tried where no side file
// names one.
var windowCandidates = []int64{4, 2, 8, 3, 6, 1, 16}

func buildEncode(p *visionPart, cfg *Config, table op.Table) (*encode, error) {
	if cfg.Merge != 2 { // rows of 2×2 patches are in the shapes of inputs and in the sample grids
		return nil, fmt.Errorf("%s: %w: spatial_merge_size is %d in %s, Qwen2.5-VL's is 2", p.file.path, ErrGeometry, cfg.Merge, filepath.Base(cfg.Source))
	}
	var e *encode
	var err error
	if n, ok := p.traced(); ok {
		e, err = buildFixed(p, n, cfg, table)
	} else {
		e, err = raiseVision(p, p.file.model.Graph, cfg, table, probeGrids)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.file.path, err)
	}
	return e, nil
}

// raiseVision raises a vision graph, whose inputs are known on sample grids.
func raiseVision(p *visionPart, g *graph.Graph, cfg *Config, table op.Table, grids []Grid) (*encode, error) {
	rows := rows
	if n, ok := p.traced(); ok {
		rows = graph.Const(n / (cfg.Merge * cfg.Merge))
	}
	if err := bindVision(g, p, rows); err != nil {
		return nil, err
	}
	windows := windowCandidates
	if cfg.Window > 0 {
		windows = []int64{cfg.Window / cfg.Patch / cfg.Merge}
	}
	e := &encode{graph: g, pixelRow: 1176, width: cfg.Hidden, file: p.file.path, grids: grids, rows: rows}
	for name, in := range p.inputs {
		if in.meaning == "grid" && named(g.Inputs, name) != nil {
			e.grid = name
		}
	}
	if e.grid != "" {
		// The graph computes its indexes itself: they are hoisted out of it once and
		// compared with the canonical ones for each window size that could be meant.
		probes, err := e.gridProbes(cfg)
		if err != nil {
			return nil, err
		}
		if e.hoisted, err = passes.Hoist(g, table, passes.Knowledge{Probes: probes}); err != nil {
			return nil, err
		}
	}
	var samples []*Indexes
	best := -1
	for _, w := range windows {
		m := Geometry{Merge: cfg.Merge, Window: max(1, w)}
		ixs, err := sampleIndexes(m, grids)
		if err != nil {
			return nil, err
		}
		if meanings, known := meaningsOf(e.hoisted, ixs); known > best {
			best, e.geometry, e.meanings, samples = known, m, meanings, ixs
		}
	}
	wrong := e.wrongIndexes()
	know, err := knowVision(g, p, samples)
	if err != nil {
		return nil, err
	}
	e.adoptMeanings(&know)
	if e.report, err = passes.Run(g, table, know); err != nil {
		return nil, err
	}
	e.report.Repaired = append(e.report.Repaired, wrong...)
	return e, e.finish(p)
}

// bindVision gives the inputs the shapes their meanings have; the file's own
// names for extents are hints only.
func bindVision(g *graph.Graph, p *visionPart, rows graph.Dim) error {
	for _, v := range g.Inputs {
		in, ok := p.inputs[v.Name]
		if !ok {
			return fmt.Errorf("%w: input %q has no known meaning", ErrFamily, v.Name)
		}
		in.shape = in.shape.Subst(map[string]graph.Dim{"rows": rows})
		if v.Type.Shape.Ranked() && len(v.Type.Shape) != len(in.shape) {
			return fmt.Errorf("%w: input %q is %s, expected shape %s", ErrFamily, v.Name, v.Type, in.shape)
		}
		for i, d := range v.Type.Shape {
			n, isConst := d.Int()
			if w, known := in.shape[i].Int(); isConst && !known {
				return fmt.Errorf("%w: input %q is %s: the graph was traced for one size and takes no other; export it with a dynamic extent %d", ErrFixedGrid, v.Name, v.Type, i)
			} else if isConst && known && w != n {
				return fmt.Errorf("%w: input %q is %s, expected shape %s", ErrFamily, v.Name, v.Type, in.shape)
			}
		}
		v.Type.Shape = in.shape
	}
	return nil
}

// gridProbes are the sample inputs of a graph that takes the grid itself.
func (e *encode) gridProbes(cfg *Config) ([]passes.Probe, error) {
	v := named(e.graph.Inputs, e.grid)
	probes := make([]passes.Probe, len(e.grids))
	for i, grid := range e.grids {
		t, err := tensor(v.Type.DType, []int64{1, 3}, []int64{grid.T, grid.H, grid.W})
		if err != nil {
			return nil, err
		}
		probes[i] = passes.Probe{Env: graph.Env{"rows": grid.Patches() / (cfg.Merge * cfg.Merge)}, Inputs: map[string]*graph.Tensor{e.grid: t}}
	}
	return probes, nil
}

// sampleIndexes are the indexes of the sample grids.
func sampleIndexes(m Geometry, grids []Grid) ([]*Indexes, error) {
	ixs := make([]*Indexes, len(grids))
	for i, grid := range grids {
		var err error
		if ixs[i], err = NewIndexes(m, grid); err != nil {
			return nil, err
		}
	}
	return ixs, nil
}

// knowVision builds the probes from the sample grids' indexes: every index input's
// value on each, and the candidates for segments.
func knowVision(g *graph.Graph, p *visionPart, samples []*Indexes) (passes.Knowledge, error) {
	var k passes.Knowledge
	full := passes.Segments{Input: "cu_seqlens", DType: graph.Int64, Whole: true}
	window := passes.Segments{Input: "cu_window_seqlens", DType: graph.Int64}
	for _, ix := range samples {
		probe := passes.Probe{
			Env: graph.Env{"rows": int64(len(ix.WindowIndex)), "cu_seqlens.length": int64(len(ix.CuSeqlens)),
				"cu_window_seqlens.length": int64(len(ix.CuWindow))},
			Inputs: map[string]*graph.Tensor{}}
		for _, v := range g.Inputs {
			in := p.inputs[v.Name]
			switch in.meaning {
			case "pixels", "grid", "":
				continue
			case "masks":
				n := ix.Grid.Patches()
				both := append(mask(ix.CuSeqlens), mask(ix.CuWindow)...)
				probe.Inputs[v.Name] = graph.Floats(both, 2, 1, n, n)
				continue
			}
			shape, err := v.Type.Shape.Eval(probe.Env)
			if err != nil {
				return k, err
			}
			if probe.Inputs[v.Name], err = tensor(v.Type.DType, shape, valuesOf(in.meaning)(ix)); err != nil {
				return k, fmt.Errorf("input %q: %w", v.Name, err)
			}
		}
		full.Values = append(full.Values, ix.CuSeqlens)
		window.Values = append(window.Values, ix.CuWindow)
		k.Probes = append(k.Probes, probe)
	}
	// Window boundaries come first: on a picture of one window both agree, and no
	// probe set may leave the choice open.
	k.Segments = []passes.Segments{window, full}
	return k, nil
}

func valuesOf(name string) func(*Indexes) []int64 {
	for _, m := range meanings {
		if m.name == name {
			return m.values
		}
	}
	return nil
}

// meaningsOf returns for each hoisted index the meaning whose values it has on
// every sample grid, or "", and how many have one.
func meaningsOf(hoisted []passes.Hoisted, samples []*Indexes) (names []string, known int) {
	names = make([]string, len(hoisted))
	for i, h := range hoisted {
		for _, k := range meanings {
			ok := true
			for j, ix := range samples {
				ok = ok && sameInts(h.Samples[j], k.values(ix))
			}
			if ok {
				names[i] = k.name
				known++
				break
			}
		}
	}
	return names, known
}

// adoptMeanings gives hoisted inputs their canonical names, joins those of one
// meaning and type, and adds their samples to the probes.
func (e *encode) adoptMeanings(know *passes.Knowledge) {
	taken := map[string]*graph.Value{}
	with := map[*graph.Value]*graph.Value{}
	for k, h := range e.hoisted {
		v := h.Input
		if name := e.meanings[k]; name != "" {
			for i, d := range v.Type.Shape { // a symbol of its own becomes the meaning's length
				if _, isConst := d.Int(); !isConst && !d.Equal(e.rows) && !d.Equal(e.rows.Mul(graph.Const(e.geometry.Merge*e.geometry.Merge))) {
					v.Type.Shape[i] = graph.Sym(name + ".length")
				}
			}
			key := name
			for first := taken[key]; first != nil && (first.Type.DType != v.Type.DType || !first.Type.Shape.Equal(v.Type.Shape)); first = taken[key] {
				key += "'"
			}
			if first := taken[key]; first != nil {
				with[v] = first
				continue
			}
			taken[key] = v
			v.From, v.Name = v.Name, key
		}
		if e.adoptTable(h) {
			continue
		}
		for i := range know.Probes {
			know.Probes[i].Inputs[v.Name] = h.Samples[i]
			for axis, d := range v.Type.Shape {
				if s, ok := d.Symbol(); ok {
					know.Probes[i].Env[s] = h.Samples[i].Shape[axis]
				}
			}
		}
	}
	e.graph.Replace(with)
	e.graph.Inputs = slices.DeleteFunc(e.graph.Inputs, func(v *graph.Value) bool { return with[v] != nil })
}

// adoptTable recognises a hoisted table of angles, position times frequency for
// every position up to the grid's larger side, and computes it in the graph from
// the positions: nothing but integers is then left to fill.
func (e *encode) adoptTable(h passes.Hoisted) bool {
	v := h.Input
	if v.Type.DType != graph.Float32 || len(v.Type.Shape) != 2 {
		return false
	}
	width, ok := v.Type.Shape[1].Int()
	if !ok || width == 0 {
		return false
	}
	var freq []float32
	for i, grid := range e.grids {
		t := h.Samples[i]
		if t.Shape[0] != max(grid.H, grid.W) || t.Shape[0] < 2 {
			return false
		}
		f := graph.View[float32](t)
		if freq == nil {
			freq = f[width : 2*width]
		}
		for k, x := range f {
			if x != float32(int64(k)/width)*freq[int64(k)%width] {
				return false
			}
		}
	}
	g := e.graph
	length := graph.Sym("axis_positions.length")
	in := g.NewInput("axis_positions", graph.TensorOf(graph.Int64, length, 1))
	cast := g.NewNode("", "Cast", passes.Opset, []*graph.Value{in}, v.Name+".positions")
	cast.SetAttr("to", int64(graph.Float32))
	cast.Outputs[0].Type = graph.TensorOf(graph.Float32, length, 1)
	k := g.NewConst(v.Name+".frequencies", graph.Floats(freq, 1, width))
	mul := g.NewNode("", "Mul", passes.Opset, []*graph.Value{cast.Outputs[0], k}, v.Name+".angles")
	mul.Outputs[0].Type = graph.TensorOf(graph.Float32, length, width)
	g.Nodes = append([]*graph.Node{cast, mul}, g.Nodes...)
	g.Replace(map[*graph.Value]*graph.Value{v: mul.Outputs[0]})
	g.Inputs = slices.DeleteFunc(g.Inputs, func(x *graph.Value) bool { return x == v })
	return true
}

// finish drops inputs nobody reads, brings the output to [rows, width], and says
// how each remaining input is filled.
func (e *encode) finish(p *visionPart) error {
	g := e.graph
	out := g.Outputs[0]
	s := out.Type.Shape
	if len(s) == 0 {
		return fmt.Errorf("%w: the output %q has no known shape", ErrFamily, out.Name)
	}
	width, ok := s[len(s)-1].Int()
	if !ok || !s.Elements().Equal(e.rows.Mul(graph.Const(width))) {
		return fmt.Errorf("%w: the output %q is %s, expected one row for each merged token", ErrFamily, out.Name, out.Type)
	}
	e.width = width
	if len(s) != 2 {
		k := g.NewConst("image_rows.shape", graph.Ints([]int64{-1, width}))
		n := g.NewNode("", "Reshape", passes.Opset, []*graph.Value{out, k}, "image_rows.flat")
		n.Outputs[0].Type = graph.TensorOf(out.Type.DType, e.rows, width)
		g.Append(n)
		g.Outputs[0] = n.Outputs[0]
	}
	g.Outputs[0].From, g.Outputs[0].Name = out.Name, "image_rows"
	uses := g.Uses()
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v *graph.Value) bool { return len(uses[v]) == 0 })
	for _, v := range g.Inputs {
		in := encodeInput{meaning: p.inputs[v.Name].meaning}
		if in.meaning == "pixels" {
			e.pixelRow, _ = v.Type.Shape[1].Int()
		}
		if in.meaning == "" || in.meaning == "grid" {
			in.meaning = ""
			for i, h := range e.hoisted {
				if h.Input == v {
					in = encodeInput{"hoisted", i}
					if e.meanings[i] != "" {
						in.meaning = e.meanings[i]
					}
				}
			}
			if in.meaning == "" && valuesOf(v.Name) != nil {
				in.meaning = v.Name // added while raising
			}
		}
		if in.meaning == "" || in.meaning == "masks" {
			return fmt.Errorf("%w: input %q is still needed after raising and cannot be filled: %s", ErrFamily, v.Name, needed(g, v, e.report))
		}
		e.inputs = append(e.inputs, in)
	}
	return e.canonical()
}

// fill builds the inputs for one picture or video.
func (e *encode) fill(pixels []float32, grid Grid) ([]*graph.Tensor, error) {
	if err := e.takes(grid); err != nil {
		return nil, err
	}
	if want := grid.Patches() * e.pixelRow; int64(len(pixels)) != want {
		return nil, fmt.Errorf("grid %d×%d×%d needs %d pixel values, got %d", grid.T, grid.H, grid.W, want, len(pixels))
	}
	ix, err := NewIndexes(e.geometry, grid)
	if err != nil {
		return nil, err
	}
	env := graph.Env{"rows": int64(len(ix.WindowIndex))}
	var hoisted []*graph.Tensor
	ins := make([]*graph.Tensor, len(e.inputs))
	for i, in := range e.inputs {
		v := e.graph.Inputs[i]
		switch in.meaning {
		case "pixels":
			t, err := graph.NewTensor(v.Type.DType, grid.Patches(), e.pixelRow)
			if err != nil {
				return nil, err
			}
			if err := t.SetFloat32s(pixels); err != nil {
				return nil, err
			}
			ins[i] = t
		case "hoisted":
			if hoisted == nil {
				gt, err := tensor(graph.Int64, []int64{1, 3}, []int64{grid.T, grid.H, grid.W})
				if err != nil {
					return nil, err
				}
				probe := passes.Probe{Env: env, Inputs: map[string]*graph.Tensor{e.grid: gt}}
				if hoisted, err = passes.Compute(e.hoisted, probe); err != nil {
					return nil, err
				}
			}
			ins[i] = hoisted[in.hoisted]
		default:
			vals := valuesOf(in.meaning)(ix)
			shape := make([]int64, len(v.Type.Shape))
			for a, d := range v.Type.Shape {
				n, err := d.Eval(env)
				if err != nil {
					n = int64(len(vals)) // the meaning's own length
				}
				shape[a] = n
			}
			if ins[i], err = tensor(v.Type.DType, shape, vals); err != nil {
				return nil, fmt.Errorf("input %q: %w", v.Name, err)
			}
		}
	}
	return ins, nil
}
