// Package passes rewrites an exporter's graph into canonical operators: ONNX's
// newest standard ones and a few of the domain "mnnconv". Nothing here knows a
// device, and nothing knows a model's name; what a pass must know of a model
// comes in as [Knowledge].
//
// What flows in: an imported graph with typed inputs. What flows out: the same
// computation in fewer, canonical nodes, with every type inferred. After every
// pass the graph is verified.
package passes

import (
	"cmp"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Opset is the version of ai.onnx that raised nodes are written for.
const Opset = 24

// Pass is one rewriting step.
type Pass struct {
	Name string
	Why  string // what it does and why it stands where it stands in the list
	run  func(*context) error
}

// All is the order of the passes. Simplify appears again where a raising pass
// leaves shape arithmetic, transposes or dead nodes behind.
var All = []Pass{
	{"constants", "Constant nodes become constants, so that patterns and inference see their values", constants},
	{"simplify", "fold shape arithmetic and drop what does nothing: patterns then see the mathematics alone", simplify},
	{"segment-loop", "a Loop over slices of one attention becomes segmented attention; first, since a Loop hides the shapes that other patterns ask for", segmentLoop},
	{"one-sequence", "rows reshaped to equal windows become one sequence again; before all that asks for extents", oneSequence},
	{"contrib-fused", "what onnxruntime's optimiser joined is taken apart; before the patterns, which look for the parts", contribFused},
	{"joined-softmax", "Softmax over several extents, of before opset 13, gets them joined; before planning, since packages are written at today's opset", joinedSoftmax},
	{"contrib-norm", "onnxruntime's norms become Add and RMSNormalization", contribNorm},
	{"rms-norm", "decomposed RMSNorm becomes RMSNormalization; before rope, whose pattern shares its Mul and Add", rmsNorm},
	{"gelu", "decomposed Gelu becomes Gelu", gelu},
	{"swish", "x·Sigmoid(x) becomes Swish", swish},
	{"angles", "the angles of rotations are computed in float32; before rope, which takes the tables", angles},
	{"rope", "rotated halves, MRotaryEmbedding and FusedRoPE become RotaryEmbedding; before attention, whose inputs they are", rope},
	{"contrib-attention", "GroupQueryAttention, MultiHeadAttention and FusedAttention become Attention", contribAttention},
	{"simplify", "transposes that raising put around attention cancel against the exporter's: repeated heads show", simplify},
	{"attention", "MatMul-Softmax-MatMul becomes Attention; repeated heads, joined caches and proven masks move into it", attention},
	{"equal-windows", "attention over what was equal windows becomes segmented attention; before segments, which would take it for attention over all rows", equalWindows},
	{"split-windows", "attention over the parts of a Split becomes segmented attention", splitWindows},
	{"segments", "attention under a block-diagonal mask becomes segmented attention, so that no mask of tokens² is ever made", segments},
	{"simplify", "what only fed masks is dead now; transposes around attention cancel", simplify},
	{"kv-state", "past and present become one state that is written in place", kvState},
	{"simplify", "drop the past's shape arithmetic", simplify},
}

// Knowledge is what a model's family knows of its graph beyond the file.
type Knowledge struct {
	// Probes are sample inputs with which passes test what a subgraph computes.
	Probes []Probe
	// Segments are inputs or names under which segmented attention gets its
	// boundaries: candidates whose value is known for each probe.
	Segments []Segments
	// Cache, if set, turns caches into states of this capacity symbol.
	Cache *Cache
}

// Segments is a candidate for the boundaries of a block-diagonal mask.
type Segments struct {
	Input  string // name of the graph input that carries them, added if absent
	DType  graph.DType
	Values [][]int64 // per probe: ascending, from 0 to the number of rows
	// Whole: attention without a mask, over all rows as one sequence, is meant to stay
	// within these segments, which are one for most inputs.
	Whole bool
}

// Cache names what the kv-state pass adds to a decoder.
type Cache struct {
	Capacity     graph.Dim // rows per slot
	WriteIndices string    // input int64 [batch]: the row where new keys go
	Lengths      string    // input int64 [batch]: valid rows after writing
}

// Report collects what the passes did, for people.
type Report struct {
	Raised   map[string]int // canonical operator → how many were raised
	Repaired []string       // what the exporter's graph computes wrong for some inputs, and what stands in its place
	Notes    []string       // what could not be raised, and why
}

type context struct {
	g      *graph.Graph
	table  op.Table
	know   Knowledge
	facts  *op.Facts
	report *Report
	names  map[string]bool
	probes []*prober
	// windows maps what attention returns over rows that the exporter laid out as
	// windows to their boundaries.
	windows map[*graph.Value]*Segments
}

// Run applies all passes to the graph, in place.
func Run(g *graph.Graph, table op.Table, know Knowledge) (*Report, error) {
	c := &context{g: g, table: table, know: know, report: &Report{Raised: map[string]int{}}}
	c.facts = op.NewFacts(table)
	c.facts.Declared = true
	if err := c.facts.Graph(g); err != nil {
		return nil, err
	}
	for _, p := range All {
		if err := p.run(c); err != nil {
			return nil, fmt.Errorf("pass %s: %w", p.Name, err)
		}
		g.RemoveDead()
		if err := c.infer(); err != nil {
			return nil, fmt.Errorf("after pass %s: %w", p.Name, err)
		}
		if err := graph.Verify(g); err != nil {
			return nil, fmt.Errorf("after pass %s: %w", p.Name, err)
		}
	}
	return c.report, nil
}

// Infer computes every type of the graph anew and returns what is known of its
// integers.
func Infer(g *graph.Graph, table op.Table) (*op.Facts, error) {
	f := op.NewFacts(table)
	return f, f.Graph(g)
}

// InferPlaced is Infer for a graph that may be placed: values stay in the spaces that
// they lie in, of which inference knows nothing, and new ones lie where their node runs.
func InferPlaced(g *graph.Graph, table op.Table) error {
	spaces := map[*graph.Value]graph.Space{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				spaces[v] = cmp.Or(v.Type.Space, graph.Space(n.Target))
			}
		}
	}
	if _, err := Infer(g, table); err != nil {
		return err
	}
	for v, s := range spaces {
		v.Type.Space = s
	}
	return nil
}

func (c *context) infer() error {
	c.probes = nil
	f, err := Infer(c.g, c.table)
	c.facts = f
	return err
}

func (c *context) raised(what string) { c.report.Raised[what]++ }

// repaired records once what stands in the place of a wrong computation.
func (c *context) repaired(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.report.Repaired, text) {
		c.report.Repaired = append(c.report.Repaired, text)
	}
}

func (c *context) note(format string, args ...any) {
	c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
}
