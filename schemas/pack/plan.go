package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/jsonkeys"
)

// planVersion is the version of plan.json's form. Readers know all versions up to
// their own.
const planVersion = 1

// maxPlan bounds a plan.json that is read, in bytes.
const maxPlan = 256 << 20

// metaModel is the metadata of a graph that names the model it is of.
const metaModel = "mnnconv.model"

// plan is plan.json: what runs where, what is copied, and what it was made from.
type plan struct {
	SchemaVersion int    `json:"schema_version"`
	Tool          string `json:"tool"`
	Model         string `json:"model"` // names the source, see Source.model
	Source        Source `json:"source"`
	Rules         string `json:"rules"`
	// Types are rules for types of float that were asked for, as --dtype takes them, and
	// Widened has, by stage, the export's type where another one was chosen for it.
	Types   string            `json:"types,omitempty"`
	Widened map[string]string `json:"widened,omitempty"`
	Memory  []string          `json:"memory,omitempty"` // policies of spaces, as --memory takes them
	Weights File              `json:"weights"`
	Side    []File            `json:"side"`
	Phases  []phaseInfo       `json:"phases"`
}

// Source says what a package was made from, and what of it no graph holds.
type Source struct {
	Architecture string           `json:"architecture"`
	Family       string           `json:"family"`
	Stages       []Stage          `json:"stages"`
	Settings     map[string]int64 `json:"settings"` // what the model's own package keeps here
	Files        []File           `json:"files"`
}

// Stage is a part of the model and the source file it came from.
type Stage struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// File is a file with what it must hold.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// model is a name for the source: a hash of its files' hashes.
func (s Source) model() string {
	h := sha256.New()
	for _, f := range s.Files {
		fmt.Fprintf(h, "%s %s\n", f.SHA256, f.Name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

type phaseInfo struct {
	Name       string           `json:"name"`
	Graph      File             `json:"graph"`
	Opsets     map[string]int64 `json:"opsets"`
	Steps      []string         `json:"steps"` // in order: "partition 0", or "copy" and the value it makes
	Partitions []partitionInfo  `json:"partitions"`
	Copies     []copyInfo       `json:"copies"`
	Memory     []memoryInfo     `json:"memory"`
}

type partitionInfo struct {
	Index   int          `json:"index"`
	Target  string       `json:"target"`
	Inputs  []string     `json:"inputs"`
	Outputs []string     `json:"outputs"`
	Kernels []kernelInfo `json:"kernels"`
}

// kernelInfo is a launch; nodes are named by their first output, which no other
// node of the graph has.
type kernelInfo struct {
	Name  string   `json:"name"`
	Nodes []string `json:"nodes"`
}

type copyInfo struct {
	Value string `json:"value"`
	Made  string `json:"made"` // the value it makes
	From  string `json:"from"`
	To    string `json:"to"`
	Type  string `json:"type"`
	Bytes string `json:"bytes"` // a formula over the type's symbols
}

// memoryInfo is what a phase keeps in one space; formulas are over the graph's
// symbols.
type memoryInfo struct {
	Space     string `json:"space"`
	Constants int64  `json:"constants"` // bytes
	States    string `json:"states"`
	Crossing  string `json:"crossing"` // what copies bring there
}

func newPlan(p Package) *plan {
	out := &plan{SchemaVersion: planVersion, Tool: p.Tool, Model: p.Source.model(), Source: p.Source, Rules: p.Rules, Types: p.Types, Widened: p.Widened, Memory: p.Memory.Texts(), Side: []File{}}
	for _, ph := range p.Plans {
		out.Phases = append(out.Phases, newPhaseInfo(ph))
	}
	return out
}

func newPhaseInfo(p *partition.Plan) phaseInfo {
	out := phaseInfo{Name: p.Phase, Graph: File{Name: p.Phase + ".onnx"}, Steps: []string{}, Partitions: []partitionInfo{}, Copies: []copyInfo{}}
	for _, s := range p.Steps {
		if n := s.Copy; n != nil {
			from, to := n.Inputs[0], n.Outputs[0]
			out.Steps = append(out.Steps, "copy "+to.Name)
			out.Copies = append(out.Copies, copyInfo{from.Name, to.Name, string(from.Type.Space), string(to.Type.Space), to.Type.String(), partition.BytesOf(to.Type).String()})
			continue
		}
		part := s.Partition
		out.Steps = append(out.Steps, fmt.Sprintf("partition %d", part.Index))
		info := partitionInfo{Index: part.Index, Target: part.Target, Inputs: names(part.Inputs), Outputs: names(part.Outputs), Kernels: []kernelInfo{}}
		for _, k := range part.Kernels {
			nodes := []string{}
			for _, n := range k.Nodes {
				nodes = append(nodes, nodeName(n))
			}
			info.Kernels = append(info.Kernels, kernelInfo{k.Name, nodes})
		}
		out.Partitions = append(out.Partitions, info)
	}
	out.Memory = memoryOf(p)
	return out
}

// memoryOf adds up what the phase keeps in each space, in the order of the plan.
func memoryOf(p *partition.Plan) []memoryInfo {
	type sums struct {
		constants        int64
		states, crossing graph.Dim
		seen             map[any]bool
	}
	var spaces []graph.Space
	by := map[graph.Space]*sums{}
	in := func(s graph.Space) *sums {
		if by[s] == nil {
			by[s] = &sums{seen: map[any]bool{}}
			spaces = append(spaces, s)
		}
		return by[s]
	}
	for _, n := range p.Graph.Nodes {
		x := in(graph.Space(n.Target))
		n.Reads(func(v *graph.Value) {
			if v.Const != nil && !x.seen[v.Const.DataKey()] {
				x.seen[v.Const.DataKey()] = true
				x.constants += v.Const.Size()
			}
		})
	}
	for _, n := range p.Copies() {
		x := in(n.Outputs[0].Type.Space)
		x.crossing = x.crossing.Add(partition.BytesOf(n.Outputs[0].Type))
	}
	for _, s := range p.Graph.States {
		x := in(s.In.Type.Space)
		x.states = x.states.Add(partition.BytesOf(s.In.Type))
	}
	out := []memoryInfo{}
	for _, s := range spaces {
		out = append(out, memoryInfo{string(s), by[s].constants, by[s].states.String(), by[s].crossing.String()})
	}
	return out
}

// without returns a phase whose partitions do not name some of their values.
func (ph phaseInfo) without(values map[string]bool) phaseInfo {
	rest := func(all []string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return values[name] })
	}
	ph.Partitions = slices.Clone(ph.Partitions)
	for i, p := range ph.Partitions {
		ph.Partitions[i].Inputs, ph.Partitions[i].Outputs = rest(p.Inputs), rest(p.Outputs)
	}
	return ph
}

// sameCut reports whether two phases run the same partitions and copies in the
// same order. Kernels may differ: they are the program's own.
func (ph phaseInfo) sameCut(other phaseInfo) bool {
	return ph.Name == other.Name && slices.Equal(ph.Steps, other.Steps) && slices.Equal(ph.Copies, other.Copies) &&
		slices.EqualFunc(ph.Partitions, other.Partitions, func(a, b partitionInfo) bool {
			return a.Target == b.Target && slices.Equal(a.Inputs, b.Inputs) && slices.Equal(a.Outputs, b.Outputs)
		})
}

func names(values []*graph.Value) []string {
	out := []string{}
	for _, v := range values {
		out = append(out, v.Name)
	}
	return out
}

// nodeName is the name of a node's first wanted output.
func nodeName(n *graph.Node) string {
	for _, v := range n.Outputs {
		if v != nil {
			return v.Name
		}
	}
	return n.Name
}

// Hash reads a file of a folder through. It ends with the context.
func Hash(ctx context.Context, dir, name string) (File, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, reader{ctx, f})
	return File{filepath.ToSlash(name), n, hex.EncodeToString(h.Sum(nil))}, err
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}

// What an opened package can be refused for. The message says how to remake it.
var (
	// ErrDamaged: a file is missing, cut short or changed.
	ErrDamaged = errors.New("damaged package")
	// ErrNewer: a newer program wrote the package.
	ErrNewer = errors.New("package of a newer version")
	// ErrMixed: files of several packages lie in one folder.
	ErrMixed = fmt.Errorf("parts of different packages: %w", graph.ErrType)
)

// remake is what to do about a package that cannot be used.
const remake = "write it again with `mnnconv convert SRC -o NAME" + Suffix + " --force`"

// readPlan reads a plan.json.
func readPlan(path string) (*plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxPlan {
		return nil, fmt.Errorf("%s: %w: it has over %d bytes", path, ErrDamaged, maxPlan)
	}
	// A newer form may be another one altogether: its version comes first.
	var head struct {
		SchemaVersion int    `json:"schema_version"`
		Tool          string `json:"tool"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	if head.SchemaVersion < 1 || !strings.HasPrefix(head.Tool, "mnnconv ") {
		return nil, fmt.Errorf("%s: %w: it is no plan of mnnconv", path, ErrDamaged)
	}
	if head.SchemaVersion > planVersion {
		return nil, fmt.Errorf("%s: %w: %q wrote version %d of the format, this program reads up to %d: use that program, or %s",
			path, ErrNewer, head.Tool, head.SchemaVersion, planVersion, remake)
	}
	p := &plan{}
	if err := jsonkeys.Unmarshal(text, p, true); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	if len(p.Phases) == 0 {
		return nil, fmt.Errorf("%s: %w: it names no phases", path, ErrDamaged)
	}
	return p, nil
}
