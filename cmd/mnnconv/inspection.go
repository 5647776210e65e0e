package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/passes"
)

// inspection is what inspect says of a model. Its JSON is the output of
// inspect --json.
type inspection struct {
	SchemaVersion int             `json:"schema_version"`
	Source        string          `json:"source"`
	Architecture  string          `json:"architecture"`
	Family        string          `json:"family"`
	Vocabulary    int             `json:"vocabulary,omitempty"`
	Context       int             `json:"context,omitempty"`
	Slots         *slotsInfo      `json:"slots,omitempty"` // of a model that answers
	Notes         []string        `json:"notes"`
	Files         []fileInfo      `json:"files"`
	Stages        []stageInfo     `json:"stages"`
	Phases        []phaseInfo     `json:"phases"`
	Partitions    []partitionInfo `json:"partitions"`
	SplitPoints   []splitPoint    `json:"split_points"`
	Splits        []splitInfo     `json:"splits,omitempty"` // with --splits: every place to cut at
	Copies        []copyInfo      `json:"copies"`
	Memory        memoryInfo      `json:"memory"`
}

// slotsInfo is what the slots of serve, and of run --batch, have of each other.
type slotsInfo struct {
	ShareSteps bool `json:"share_steps"`
}

type fileInfo struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

type stageInfo struct {
	Name string `json:"name"`
	File string `json:"file"`
}

type phaseInfo struct {
	Name      string         `json:"name"`
	Nodes     int            `json:"nodes"`
	Operators map[string]int `json:"operators"`
	Raised    map[string]int `json:"raised"`   // canonical operators that exporters' forms became
	Repaired  []string       `json:"repaired"` // what the exporter's graph computes wrong, and what stands in its place
	Left      []string       `json:"left"`     // what is not canonical after raising
	Weights   map[string]int `json:"weights"`  // how matrices are stored: forms, and how many of each
	Notes     []string       `json:"notes"`
	Inputs    []valueInfo    `json:"inputs"`
	Outputs   []valueInfo    `json:"outputs"`
}

type valueInfo struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Meaning string `json:"meaning,omitempty"`
	State   bool   `json:"state,omitempty"`
}

type partitionInfo struct {
	Phase   string     `json:"phase"`
	Index   int        `json:"index"`
	Target  string     `json:"target"`
	Kernels int        `json:"kernels"`
	Nodes   []nodeInfo `json:"nodes"`
}

type nodeInfo struct {
	Path string `json:"path,omitempty"` // canonical
	Name string `json:"name,omitempty"` // the exporter's
	Op   string `json:"op"`
	Out  string `json:"output"`
	Type string `json:"type"`
	Why  string `json:"why"` // it runs on this target
}

// splitPoint is a boundary between two stages and what crosses it.
type splitPoint struct {
	From   string          `json:"from"`
	To     string          `json:"to"`
	Values []boundaryValue `json:"values"`
}

type boundaryValue struct {
	Value string `json:"value"`
	Type  string `json:"type"`
	Bytes string `json:"bytes"` // a formula over the type's symbols
}

type copyInfo struct {
	Phase string `json:"phase"`
	Value string `json:"value"`
	From  string `json:"from"`
	To    string `json:"to"`
	Bytes string `json:"bytes"` // a formula over the value's symbols
	Route string `json:"route"`
}

type memoryInfo struct {
	Parameters    int64                   `json:"parameters"`
	Weights       int64                   `json:"weights"` // bytes
	WeightsByType map[string]int64        `json:"weights_by_dtype"`
	StatePerToken int64                   `json:"state_per_token"` // bytes
	StateTypes    []string                `json:"state_types,omitempty"`
	Capacity      int                     `json:"capacity,omitempty"` // tokens of the context that the spaces are for
	Spread        []partition.Spread      `json:"spread"`             // weights that several devices hold
	Policy        []string                `json:"policy,omitempty"`   // of spaces, as --memory takes them
	Spaces        []partition.SpaceBudget `json:"spaces"`
}

// addBudget tells what a session of these options needs of every space.
func (x *inspection) addBudget(b *partition.Budget, s models.SessionOptions) {
	x.Memory.Capacity, x.Memory.Spaces = s.Capacity, b.Spaces
}

// newInspection describes a source before it is placed.
func newInspection(s *mnnconv.Source) *inspection {
	x := &inspection{SchemaVersion: schemaVersion, Source: s.Path, Architecture: s.Info.Architecture, Family: s.Info.Family,
		Vocabulary: s.Info.Vocabulary, Context: s.Info.Context, Notes: slices.Concat([]string{}, s.Info.Notes, s.WidenedNotes()),
		Partitions: []partitionInfo{}, Copies: []copyInfo{}}
	phases := uncut(s)
	x.Files = sourceFiles(s)
	for _, st := range s.Info.Stages {
		x.Stages = append(x.Stages, stageInfo(st))
	}
	for _, p := range phases {
		x.Phases = append(x.Phases, newPhaseInfo(p))
	}
	x.SplitPoints = splitPoints(phases)
	x.Memory = measure(phases)
	return x
}

// uncut returns a source's phases without the copies that a package's hold.
func uncut(s *mnnconv.Source) []models.Phase {
	if s.Package == nil {
		return s.Phases
	}
	phases := slices.Clone(s.Phases)
	for i := range phases {
		phases[i].Graph, _ = phases[i].Graph.Clone()
		partition.Unplace(phases[i].Graph)
	}
	return phases
}

// sourceFiles lists the stages' files, and the data files that their weights lie
// in.
func sourceFiles(s *mnnconv.Source) []fileInfo {
	dir := sourceDir(s)
	out := []fileInfo{}
	if s.Package != nil {
		for _, f := range s.Package.Files() {
			out = append(out, fileInfo{f.Name, f.Bytes})
		}
		return out
	}
	seen := map[string]bool{}
	add := func(name string) {
		if name = filepath.ToSlash(filepath.Clean(name)); seen[name] {
			return
		}
		seen[name] = true
		if size, ok := fileSize(filepath.Join(dir, name)); ok {
			out = append(out, fileInfo{name, size})
		}
	}
	for _, st := range s.Info.Stages {
		add(st.File)
	}
	data := map[string]bool{}
	for _, p := range s.Phases {
		eachConst(p.Graph, func(_ *graph.Node, t *graph.Tensor) {
			if t.Source != nil {
				data[t.Source.File] = true
			}
		})
	}
	for _, name := range sortedKeys(data) {
		for _, st := range s.Info.Stages {
			add(filepath.Join(filepath.Dir(st.File), name))
		}
	}
	return out
}

// sourceDir is the folder that the names of a source's files are relative to.
func sourceDir(s *mnnconv.Source) string {
	if s.Model == nil {
		return filepath.Dir(s.Path)
	}
	return s.Path
}

func newPhaseInfo(p models.Phase) phaseInfo {
	out := phaseInfo{Name: p.Name, Nodes: len(p.Graph.Nodes), Operators: map[string]int{}, Raised: map[string]int{}, Repaired: []string{}, Left: []string{}, Weights: weightForms(p.Graph), Notes: []string{}}
	for _, n := range p.Graph.Nodes {
		out.Operators[n.OpName()]++
	}
	if p.Report != nil {
		maps.Copy(out.Raised, p.Report.Raised)
		out.Repaired = append(out.Repaired, p.Report.Repaired...)
		out.Left = append(out.Left, passes.Leftovers(p.Graph)...)
		out.Notes = append(out.Notes, p.Report.Notes...)
	}
	state := p.Graph.StateValues()
	meaning := map[*graph.Value]string{}
	for _, s := range p.Graph.States {
		meaning[s.In], meaning[s.Out] = "state, kept from run to run", "the new "+s.In.Name
	}
	list := func(values []*graph.Value) []valueInfo {
		infos := []valueInfo{}
		for _, v := range values {
			m := meaning[v]
			if m == "" {
				m = p.Meanings[v.Name]
			}
			if m == "" && v.From != "" && v.From != v.Name {
				m = "the exporter's " + v.From
			} else if m != "" && v.From != "" && v.From != v.Name && meaning[v] == "" {
				m += "; the exporter's " + v.From
			}
			infos = append(infos, valueInfo{v.Name, v.Type.String(), m, state[v]})
		}
		return infos
	}
	out.Inputs, out.Outputs = list(p.Graph.Inputs), list(p.Graph.Outputs)
	return out
}

// splitPoints finds where the stages of canonical paths meet: within a phase, and
// between a phase's outputs and a later one's inputs of the same name.
func splitPoints(phases []models.Phase) []splitPoint {
	out := []splitPoint{}
	add := func(from, to string, v *graph.Value) {
		if from == to || from == "" || to == "" {
			return
		}
		i := slices.IndexFunc(out, func(s splitPoint) bool { return s.From == from && s.To == to })
		if i < 0 {
			i = len(out)
			out = append(out, splitPoint{From: from, To: to})
		}
		b := boundaryValue{v.Name, v.Type.String(), valueBytes(v).String()}
		if !slices.Contains(out[i].Values, b) {
			out[i].Values = append(out[i].Values, b)
		}
	}
	made := map[string]string{} // an earlier phase's output to its stage
	for _, p := range phases {
		for _, n := range p.Graph.Nodes {
			n.Reads(func(v *graph.Value) {
				switch {
				case v.Def != nil:
					add(stageOf(v.Def), stageOf(n), v)
				case v.Const == nil:
					add(made[v.Name], stageOf(n), v)
				}
			})
		}
		for _, v := range p.Graph.Outputs {
			if v.Def != nil {
				made[v.Name] = stageOf(v.Def)
			}
		}
	}
	return out
}

// stageOf is the first part of a node's canonical path.
func stageOf(n *graph.Node) string {
	stage, _, _ := strings.Cut(n.Path, ".")
	return stage
}

// valueBytes is the size of a value as a formula over its symbols.
func valueBytes(v *graph.Value) graph.Dim {
	bits := graph.Const(int64(v.Type.DType.Bits()))
	return v.Type.Shape.Elements().Mul(bits).Div(graph.Const(8))
}

// measure adds up weights and states. Weights are counted by their headers.
func measure(phases []models.Phase) memoryInfo {
	m := memoryInfo{WeightsByType: map[string]int64{}}
	seen := map[*graph.Tensor]bool{}
	ranges := map[graph.Range]bool{}
	for _, p := range phases {
		eachConst(p.Graph, func(n *graph.Node, t *graph.Tensor) {
			if seen[t] || t.Source != nil && ranges[*t.Source] {
				return
			}
			seen[t] = true
			if t.Source != nil {
				ranges[*t.Source] = true
			}
			if t.Source != nil || t.Of != nil {
				m.Parameters += parameters(n, t)
			}
			m.Weights += t.Size()
			m.WeightsByType[t.DType.String()] += t.Size()
		})
		for _, s := range p.Graph.States {
			if _, perToken, _, ok := valueBytes(s.In).Linear(); ok {
				m.StatePerToken += perToken
				if d := s.In.Type.DType.String(); !slices.Contains(m.StateTypes, d) {
					m.StateTypes = append(m.StateTypes, d)
				}
			}
		}
	}
	return m
}

// parameters counts a weight's numbers. Packed 4-bit blocks hold K × N of them,
// and their scales and zero points none of their own.
func parameters(n *graph.Node, t *graph.Tensor) int64 {
	if n.Op != "MatMulNBits" {
		return int64(t.Len())
	}
	if n.In(1) != nil && n.In(1).Const == t {
		return n.Int("K", 0) * n.Int("N", 0)
	}
	return 0
}

// eachConst calls f for every constant that a node reads, bodies included.
func eachConst(g *graph.Graph, f func(*graph.Node, *graph.Tensor)) {
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil && v.Const != nil {
				f(n, v.Const)
			}
		}
		for _, b := range n.Bodies {
			eachConst(b.Graph, f)
		}
	}
}

// addPlans describes the placed and cut phases.
func (x *inspection) addPlans(plans []*partition.Plan) {
	x.Memory.Spread = partition.SpreadWeights(plans)
	for _, p := range plans {
		for _, part := range p.Partitions() {
			info := partitionInfo{Phase: p.Phase, Index: part.Index, Target: part.Target, Kernels: len(part.Kernels)}
			for _, n := range part.Nodes {
				info.Nodes = append(info.Nodes, newNodeInfo(n))
			}
			x.Partitions = append(x.Partitions, info)
		}
		for _, n := range p.Copies() {
			x.Copies = append(x.Copies, newCopyInfo(p, n))
		}
	}
}

func newNodeInfo(n *graph.Node) nodeInfo {
	info := nodeInfo{Path: n.Path, Name: n.Name, Op: n.OpName(), Why: n.Cause}
	if v := n.Out(0); v != nil {
		info.Out, info.Type = v.Name, v.Type.String()
	}
	return info
}

func newCopyInfo(p *partition.Plan, n *graph.Node) copyInfo {
	v := n.Inputs[0]
	return copyInfo{Phase: p.Phase, Value: v.Name, From: n.Str("from", ""), To: n.Str("to", ""), Bytes: valueBytes(v).String(), Route: string(p.Route(n))}
}
