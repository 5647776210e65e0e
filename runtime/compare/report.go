package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Report is what a comparison found, for programs.
type Report struct {
	SchemaVersion int               `json:"schema_version"`
	Verdict       string            `json:"verdict"` // same or differs
	Sentence      string            `json:"sentence"`
	Reference     string            `json:"reference"`
	Calls         int               `json:"calls"`
	Partitions    []PartitionReport `json:"partitions"`
	Copies        []CopyReport      `json:"copies"` // that changed bytes
	Tensors       []*TensorReport   `json:"tensors"`
}

// PartitionReport is the verdict on one partition.
type PartitionReport struct {
	Phase   string   `json:"phase"`
	Index   int      `json:"index"`
	Target  string   `json:"target"`
	Name    string   `json:"name"`
	Verdict string   `json:"verdict"`          // same, wrong or inherits
	First   string   `json:"first,omitempty"`  // the canonical path of the first wrong node, or its name
	Value   string   `json:"value,omitempty"`  // what that node makes
	Covers  []string `json:"covers,omitempty"` // the other nodes of its kernel
	Why     string   `json:"why,omitempty"`
	Call    int      `json:"call,omitempty"` // of the finding, from 1
	Part    string   `json:"part,omitempty"` // what that call was part of: prefill or decode

	node  int    // the first wrong node's place in the plan
	op    string // its operator
	given float64
	from  string // which partition it inherits from
}

// CopyReport is a copy whose result is not what was copied.
type CopyReport struct {
	Phase string `json:"phase"`
	Value string `json:"value"`
	From  string `json:"from"`
	To    string `json:"to"`
	Call  int    `json:"call"`
}

// TensorReport has the worst figures of a boundary tensor over all calls: of its
// partition alone, and of the cascade.
type TensorReport struct {
	Phase     string `json:"phase"`
	Name      string `json:"name"`
	Exporter  string `json:"exporter,omitempty"`
	Partition int    `json:"partition"`
	DType     string `json:"dtype"`
	Figures
	Tolerance float64 `json:"tolerance"` // of max
	Verdict   string  `json:"verdict"`
	Cascade   struct {
		Figures
		Tolerance float64 `json:"tolerance"`
	} `json:"cascade"`

	bad, late bool // alone, in the cascade
	filled    [2]bool
}

func (t *TensorReport) isolated(f Figures, tolerance float64, ok bool) {
	t.keep(0, &t.Figures, &t.Tolerance, f, tolerance)
	t.bad = t.bad || !ok
}

func (t *TensorReport) cascaded(f Figures, tolerance float64, ok bool) {
	t.keep(1, &t.Cascade.Figures, &t.Cascade.Tolerance, f, tolerance)
	t.late = t.late || !ok
}

// keep takes over worse figures.
func (t *TensorReport) keep(which int, have *Figures, limit *float64, f Figures, tolerance float64) {
	if !t.filled[which] || f.NaN+f.Inf > have.NaN+have.Inf || f.NaN+f.Inf == have.NaN+have.Inf && f.Relative > have.Relative {
		*have, *limit, t.filled[which] = f, tolerance, true
	}
}

// collected gathers findings over calls.
type collected struct {
	calls      int
	part       string // of the call
	partitions []*PartitionReport
	of         map[*partition.Partition]*PartitionReport
	copies     []CopyReport
	tensors    []*TensorReport
	named      map[string]*TensorReport
	made       map[string]*partition.Partition // by the names of values
}

func newCollected() collected {
	return collected{of: map[*partition.Partition]*PartitionReport{}, named: map[string]*TensorReport{}, made: map[string]*partition.Partition{}}
}

func (c *collected) partition(phase string, p *partition.Partition) {
	r := &PartitionReport{Phase: phase, Index: p.Index, Target: p.Target, Name: fmt.Sprintf("%s partition %d (%s)", phase, p.Index, p.Target), Verdict: Same, node: math.MaxInt}
	c.partitions, c.of[p] = append(c.partitions, r), r
	for _, v := range p.Outputs {
		c.made[v.Name] = p
	}
}

func (c *collected) tensor(p *phase, part *partition.Partition, v *graph.Value) *TensorReport {
	key := p.plan.Phase + "\x00" + v.Name
	t := c.named[key]
	if t == nil {
		t = &TensorReport{Phase: p.plan.Phase, Name: v.Name, Exporter: v.From, Partition: part.Index, DType: v.Type.DType.String()}
		c.named[key], c.tensors = t, append(c.tensors, t)
	}
	return t
}

// wrong notes that a partition is wrong by itself, first at nodes[0], whose kernel
// covers the others. Of several calls the earliest node counts.
func (c *collected) wrong(p *phase, part *partition.Partition, nodes []*graph.Node, why string) {
	r := c.of[part]
	at := -1
	if len(nodes) > 0 {
		at = p.order[nodes[0]]
	}
	if r.Verdict == Wrong && at >= r.node {
		return
	}
	*r = PartitionReport{Phase: r.Phase, Index: r.Index, Target: r.Target, Name: r.Name, Verdict: Wrong, Why: why, Call: c.calls, Part: c.part, node: at,
		given: r.given, from: r.from}
	for i, n := range nodes {
		if i > 0 {
			r.Covers = append(r.Covers, n.Label())
			continue
		}
		r.First, r.op = n.Label(), n.OpName()
		for _, v := range n.Outputs {
			if v != nil {
				r.Value = v.Name
				break
			}
		}
	}
}

// moved notes a device that changes what it is given. Where a copy brings that, the
// copy is named, else what reads it first.
func (c *collected) moved(p *phase, part *partition.Partition, e transferError) {
	n := e.value.Def
	if !n.IsCopy() {
		n = part.Nodes[0]
		for _, reader := range part.Nodes {
			if slices.Contains(reader.Inputs, e.value) {
				n = reader
				break
			}
		}
	}
	c.wrong(p, part, []*graph.Node{n}, e.Error())
}

// copied notes a copy that changed bytes. The device that moves them is the target,
// or the source of what goes to the host: a partition there is wrong.
func (c *collected) copied(p *phase, n *graph.Node) {
	src, dst := n.Inputs[0], n.Outputs[0]
	root := partition.Source(src)
	r := CopyReport{p.plan.Phase, root.Name, string(src.Type.Space), string(dst.Type.Space), c.calls}
	if !slices.ContainsFunc(c.copies, func(o CopyReport) bool { return o.Phase == r.Phase && o.Value == r.Value && o.To == r.To }) {
		c.copies = append(c.copies, r)
	}
	by := dst.Type.Space
	if by == graph.Host {
		by = src.Type.Space
	}
	for _, part := range p.plan.Partitions() {
		if part.Space == by && (slices.Contains(part.Inputs, dst) || slices.Contains(part.Outputs, src)) {
			c.wrong(p, part, []*graph.Node{n}, fmt.Sprintf("the copy of %s from %s to %s changes bytes", r.Value, r.From, r.To))
			return
		}
	}
}

func (c *collected) isWrong(part *partition.Partition) bool {
	return c.of[part].Verdict == Wrong
}

func (c *collected) inherits(part *partition.Partition) {
	if r := c.of[part]; r.Verdict == Same {
		r.Verdict = Inherits
	}
}

// inherited notes how far off a partition's input was, and who made it.
func (c *collected) inherited(part *partition.Partition, most float64, v *graph.Value) {
	r := c.of[part]
	if most < r.given {
		return
	}
	r.given, r.from = most, "the caller"
	if maker := c.made[v.Name]; maker != nil {
		r.from = c.of[maker].Name
	}
}

func (c *collected) report(s Setup) *Report {
	r := &Report{SchemaVersion: 1, Verdict: Same, Reference: s.Name, Calls: c.calls, Copies: append([]CopyReport{}, c.copies...), Tensors: append([]*TensorReport{}, c.tensors...)}
	wrong := map[int]bool{}
	for i, p := range c.partitions {
		wrong[i] = p.Verdict == Wrong
		r.Partitions = append(r.Partitions, *p)
		if p.Verdict != Same {
			r.Verdict = Differs
		}
	}
	for _, t := range r.Tensors {
		switch t.Verdict = Same; {
		case t.bad:
			t.Verdict = Wrong
		case t.late:
			t.Verdict = Inherits
		}
	}
	if len(r.Copies) > 0 {
		r.Verdict = Differs
	}
	r.Sentence = r.sentence()
	return r
}

// sentence says it in one.
func (r *Report) sentence() string {
	var parts []string
	for _, p := range r.Partitions {
		switch {
		case p.Verdict == Wrong && p.First == "":
			parts = append(parts, fmt.Sprintf("%s is wrong by itself: %s", p.Name, p.Why))
		case p.Verdict == Wrong:
			text := fmt.Sprintf("%s is wrong by itself, first at %s (%s)", p.Name, p.First, p.op)
			if p.Why != "" {
				text += ": " + p.Why
			}
			parts = append(parts, text)
		case p.Verdict == Inherits:
			parts = append(parts, fmt.Sprintf("%s only inherits %.1g from %s", p.Name, p.given, p.from))
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, "; ")
	}
	count := func(n int, what string) string {
		if n != 1 {
			what += "s"
		}
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%s and %s agree in %s, over %s", count(len(r.Partitions), "partition"), r.Reference, count(len(r.Tensors), "boundary tensor"), count(r.Calls, "call"))
}
