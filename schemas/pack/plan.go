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
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
)

// planVersion is the version of plan.json's form.
const planVersion = 1

// maxPlan bounds a plan.json that is read, in bytes.
const maxPlan = 256 << 20

// plan is plan.json: what runs where, what is copied, and what it was made from.
type plan struct {
	SchemaVersion int         `json:"schema_version"`
	Tool          string      `json:"tool"`
	Source        source      `json:"source"`
	Weights       fileInfo    `json:"weights"`
	Phases        []phaseInfo `json:"phases"`
}

type source struct {
	Architecture string     `json:"architecture"`
	Family       string     `json:"family"`
	Files        []fileInfo `json:"files"`
}

type fileInfo struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
}

type phaseInfo struct {
	Name       string           `json:"name"`
	File       string           `json:"file"`
	Opsets     map[string]int64 `json:"opsets"`
	Steps      []string         `json:"steps"` // in order: "partition 0", or "copy" and the value it makes
	Partitions []partitionInfo  `json:"partitions"`
	Copies     []copyInfo       `json:"copies"`
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
}

func newPlan(ctx context.Context, p Package) (*plan, error) {
	out := &plan{SchemaVersion: planVersion, Tool: p.Tool, Source: source{Architecture: p.Source.Architecture, Family: p.Source.Family, Files: []fileInfo{}}}
	for _, name := range p.Source.Files {
		info, err := hash(ctx, p.Source.Dir, name)
		if err != nil {
			return nil, err
		}
		out.Source.Files = append(out.Source.Files, info)
	}
	for _, ph := range p.Plans {
		out.Phases = append(out.Phases, newPhaseInfo(ph))
	}
	return out, nil
}

func newPhaseInfo(p *partition.Plan) phaseInfo {
	out := phaseInfo{Name: p.Phase, File: p.Phase + ".onnx", Steps: []string{}, Partitions: []partitionInfo{}, Copies: []copyInfo{}}
	for _, s := range p.Steps {
		if n := s.Copy; n != nil {
			from, to := n.Inputs[0], n.Outputs[0]
			out.Steps = append(out.Steps, "copy "+to.Name)
			out.Copies = append(out.Copies, copyInfo{from.Name, to.Name, string(from.Type.Space), string(to.Type.Space), to.Type.String()})
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
	return out
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

// hash reads a source file through.
func hash(ctx context.Context, dir, name string) (fileInfo, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fileInfo{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, reader{ctx, f})
	return fileInfo{filepath.ToSlash(name), n, hex.EncodeToString(h.Sum(nil))}, err
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

// errPlan: a plan.json is not one of a package.
var errPlan = errors.New("no plan of a package")

// readPlan reads a plan.json.
func readPlan(path string) (*plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &plan{}
	if err := json.NewDecoder(io.LimitReader(f, maxPlan)).Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, errPlan, err)
	}
	if p.SchemaVersion < 1 || !strings.HasPrefix(p.Tool, "mnnconv ") || len(p.Phases) == 0 {
		return nil, fmt.Errorf("%s: %w: it names no phases, or another tool", path, errPlan)
	}
	return p, nil
}
