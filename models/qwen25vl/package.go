package qwen25vl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/tokenizer"
	"mnnconv/schemas/pack"
)

// Settings that a package keeps: what Load finds in the exporter's graphs.
const (
	settingMerge  = "merge"  // patches a side of a row
	settingWindow = "window" // rows a side of an attention window
	settingWidth  = "width"  // numbers of a hidden state
	settingFixed  = "fixed_" // and t, h or w: the only grid that the vision graph takes
)

// ErrPackage: a package's graphs are not those that Load raises.
var ErrPackage = fmt.Errorf("not the graphs of this model: %w", graph.ErrType)

// errHoisted: a value that a graph of its own computes from the grid cannot be
// filled from a package.
var errHoisted = fmt.Errorf("%w: it is unlike any known index, so a package cannot hold it", ErrFamily)

// Settings are what Open asks for besides graphs and side files. A model that
// could not be opened from a package is an error.
func (m *Model) Settings() (map[string]int64, error) {
	if m.encode != nil {
		for i, in := range m.encode.inputs {
			if in.meaning == "hoisted" {
				return nil, fmt.Errorf("%s: input %q: %w: run the folder itself", m.Dir, m.encode.graph.Inputs[i].Name, errHoisted)
			}
		}
	}
	s := map[string]int64{}
	if m.extend != nil {
		s[settingWidth] = m.extend.width
	}
	if m.encode != nil {
		s[settingMerge], s[settingWindow] = m.encode.geometry.Merge, m.encode.geometry.Window
		switch f := m.encode.fixed; len(f) {
		case 0:
		case 1:
			s[settingFixed+"t"], s[settingFixed+"h"], s[settingFixed+"w"] = f[0].T, f[0].H, f[0].W
		default:
			return nil, fmt.Errorf("%s: %w: it takes the grids %v, and a package can name one: run the folder itself", m.Dir, ErrFixedGrid, f)
		}
	}
	return s, nil
}

// Open makes a model from a package: its graphs are raised, placed and cut
// already, and their inputs have canonical names. The model owns the package and
// closes it, unless there is an error.
func Open(p *pack.Opened, o models.Options) (*Model, error) {
	cfg, err := readConfig(p.Dir)
	if err != nil {
		return nil, err
	}
	m := &Model{Dir: p.Dir, Family: p.Source.Family, Config: cfg, files: p}
	for _, s := range p.Source.Stages {
		m.stages = append(m.stages, models.Stage(s))
	}
	if err := m.words(p.Sum(tokenizer.JSONName)); err != nil {
		return nil, err
	}
	encodes := slices.ContainsFunc(p.Phases, func(ph pack.Phase) bool { return ph.Name == "encode" })
	if err := m.pictures(o, encodes); err != nil {
		return nil, err
	}
	for _, ph := range p.Phases {
		switch ph.Name {
		case "encode":
			m.encode, err = openEncode(ph.Graph, p.Source.Settings)
		case "extend":
			m.extend, err = openExtend(ph.Graph, p.Source.Settings)
		default:
			err = fmt.Errorf("%w: this model has no such phase", ErrPackage)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: phase %s: %w", p.Dir, ph.Name, err)
		}
	}
	if m.extend == nil && m.encode == nil {
		return nil, fmt.Errorf("%s: %w: phases encode and extend are missing", p.Dir, ErrPackage)
	}
	if err := m.retype(o.Types, o.Table); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Dir, err)
	}
	if m.extend != nil {
		if err := errors.Join(m.extend.store(o.State, o.Table), m.extend.draft(o.Lookup, o.Table)); err != nil {
			return nil, fmt.Errorf("%s: phase extend: %w", p.Dir, err)
		}
	}
	return m, m.agree("encode", "extend")
}

// openEncode binds the inputs of the encode phase by their names, which are those
// of meanings; of two inputs of one meaning and different types, later ones end
// in ticks.
func openEncode(g *graph.Graph, settings map[string]int64) (*encode, error) {
	e := &encode{graph: g, geometry: Geometry{Merge: settings[settingMerge], Window: settings[settingWindow]}}
	if m := e.geometry; m.Merge < 1 || m.Merge > 16 || m.Window < 1 || m.Window > maxExtent {
		return nil, fmt.Errorf("%w: merge %d and window %d are out of range", ErrPackage, m.Merge, m.Window)
	}
	if f := (Grid{settings[settingFixed+"t"], settings[settingFixed+"h"], settings[settingFixed+"w"]}); f != (Grid{}) {
		if err := e.geometry.check(f); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPackage, err)
		}
		e.fixed, e.file = []Grid{f}, "encode"
	}
	if len(g.Outputs) != 1 || len(g.Outputs[0].Type.Shape) != 2 {
		return nil, fmt.Errorf("%w: want one output [rows, width]", ErrPackage)
	}
	var ok bool
	if e.width, ok = g.Outputs[0].Type.Shape[1].Int(); !ok {
		return nil, fmt.Errorf("%w: output %q is %s, want [rows, width]", ErrPackage, g.Outputs[0].Name, g.Outputs[0].Type)
	}
	for _, v := range g.Inputs {
		meaning := strings.TrimRight(v.Name, "'")
		switch {
		case meaning == inPixels:
			if len(v.Type.Shape) == 2 {
				e.pixelRow, ok = v.Type.Shape[1].Int()
			}
			if !ok || e.pixelRow < 1 {
				return nil, fmt.Errorf("%w: input %q is %s, want [patches, values]", ErrPackage, v.Name, v.Type)
			}
			meaning = "pixels"
		case valuesOf(meaning) == nil:
			return nil, fmt.Errorf("%w: input %q has no known meaning", ErrPackage, v.Name)
		}
		e.inputs = append(e.inputs, encodeInput{meaning: meaning})
	}
	if e.pixelRow == 0 {
		return nil, fmt.Errorf("%w: input %q is missing", ErrPackage, inPixels)
	}
	return e, nil
}

// openExtend checks the inputs of the extend phase, which the session fills by
// their names.
func openExtend(g *graph.Graph, settings map[string]int64) (*extend, error) {
	x := &extend{graph: g, width: settings[settingWidth]}
	if x.width < 1 {
		return nil, fmt.Errorf("%w: a hidden state of %d numbers", ErrPackage, x.width)
	}
	state := map[*graph.Value]bool{}
	for _, s := range g.States {
		state[s.In] = true
	}
	known := []string{inStep, inEmbeds, inRows, inRowsAt}
	for _, v := range g.Inputs {
		if !state[v] && !slices.Contains(known, v.Name) {
			return nil, fmt.Errorf("%w: input %q has no known meaning", ErrPackage, v.Name)
		}
	}
	if len(g.Outputs) == 0 || len(g.Outputs[0].Type.Shape) != 3 {
		return nil, fmt.Errorf("%w: want output %q [batch, 1, vocabulary]", ErrPackage, outLogits)
	}
	var ok bool
	if x.vocabulary, ok = g.Outputs[0].Type.Shape[2].Int(); !ok {
		return nil, fmt.Errorf("%w: output %q is %s, want [batch, 1, vocabulary]", ErrPackage, g.Outputs[0].Name, g.Outputs[0].Type)
	}
	return x, x.ranked()
}

// canonical gives the encode phase's inputs the names of their meanings, by which
// [Open] and other runtimes fill them.
func (e *encode) canonical() error {
	taken := map[string]bool{}
	for i, v := range e.graph.Inputs {
		if e.inputs[i].meaning == "hoisted" {
			continue
		}
		name := e.inputs[i].meaning
		if name == "pixels" {
			name = inPixels
		}
		for taken[name] {
			name += "'"
		}
		taken[name] = true
		if v.Name == name {
			continue
		}
		e.release(name)
		v.From, v.Name = cmp.Or(v.From, v.Name), name
	}
	return graph.Verify(e.graph)
}

// release gives another value that has a name another one.
func (e *encode) release(name string) {
	if v := named(e.graph.Inputs, name); v != nil {
		v.From, v.Name = cmp.Or(v.From, v.Name), v.Name+".input"
	}
	for _, n := range e.graph.Nodes {
		if v := named(n.Outputs, name); v != nil {
			v.Name += ".value"
		}
	}
}
