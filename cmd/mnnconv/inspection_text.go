package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// write describes the model for people.
func (x *inspection) write(w io.Writer, nodes bool) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	list := func(t table) { _ = t.write(&b, "  ") }

	p("%s\n%s", printable(x.Source), x.Architecture)
	if x.Family != "" {
		p(", as %s writes it", printable(x.Family))
	}
	if x.Vocabulary > 0 {
		p("\nvocabulary of %d tokens, context of %d", x.Vocabulary, x.Context)
	}
	p("\n")
	if x.Slots != nil && x.Slots.ShareSteps {
		p("slots share their steps: its graphs can take several sequences a run\n")
	} else if x.Slots != nil {
		p("slots do not share their steps: its graphs take one sequence at a time\n")
	}
	for _, n := range x.Notes {
		p("note: %s\n", printable(n))
	}
	var t table
	for _, f := range x.Files {
		t.add(printable(f.Name), bytesText(f.Bytes))
	}
	p("\nfiles\n")
	list(t)
	t = nil
	for _, s := range x.Stages {
		t.add(s.Name, printable(s.File))
	}
	p("\nstages\n")
	list(t)
	for _, ph := range x.Phases {
		ph.write(&b)
	}
	t = nil
	for _, part := range x.Partitions {
		t.add(part.Phase+" "+strconv.Itoa(part.Index), part.Target, plural(len(part.Nodes), "node"), plural(part.Kernels, "kernel"))
	}
	p("\npartitions\n")
	list(t)
	if nodes {
		for _, part := range x.Partitions {
			t = nil
			for _, n := range part.Nodes {
				t.add(printable(n.Op), printable(n.Path), printable(n.Out), printable(n.Type), printable(n.Why))
			}
			p("\nnodes of %s %d on %s\n", part.Phase, part.Index, part.Target)
			list(t)
		}
	}
	t = nil
	for _, s := range x.SplitPoints {
		for _, v := range s.Values {
			t.add(s.From+" → "+s.To, printable(v.Value), printable(v.Type), printable(v.Bytes)+" bytes")
		}
	}
	p("\nsplit points\n")
	list(t)
	if x.Splits != nil {
		p("\nevery place to cut, and what crosses there\n")
		list(splitRows(x.Splits))
	}
	t = nil
	for _, c := range x.Copies {
		t.add(c.Phase, printable(c.Value), c.From+" → "+c.To, printable(c.Bytes)+" bytes", c.Route)
	}
	p("\ncopies: %d\n", len(x.Copies))
	list(t)
	p("\nmemory\n")
	list(x.Memory.rows())
	if x.Memory.Capacity > 0 {
		p("\nmemory of a session with a context of %d tokens, pictures and no video\n", x.Memory.Capacity)
	} else {
		p("\nmemory of a session, what its inputs size apart\n")
	}
	list(budgetTable(x.Memory.Spaces))
	_, err := io.WriteString(w, b.String())
	return err
}

// write describes a phase. States are many and alike: one stands for all.
func (ph *phaseInfo) write(b *strings.Builder) {
	fmt.Fprintf(b, "\nphase %s: %s\n", ph.Name, plural(ph.Nodes, "node"))
	fmt.Fprintf(b, "  operators: %s\n", counts(ph.Operators))
	if len(ph.Raised) > 0 {
		fmt.Fprintf(b, "  raised to: %s\n", counts(ph.Raised))
	}
	if len(ph.Weights) > 0 {
		var forms []string
		for _, k := range sortedKeys(ph.Weights) {
			forms = append(forms, fmt.Sprintf("%d of %s", ph.Weights[k], printable(k)))
		}
		fmt.Fprintf(b, "  weights: %s\n", strings.Join(forms, "; "))
	}
	for _, r := range ph.Repaired {
		fmt.Fprintf(b, "  repaired: %s\n", printable(r))
	}
	for _, l := range ph.Left {
		fmt.Fprintf(b, "  not canonical: %s\n", printable(l))
	}
	for _, n := range ph.Notes {
		fmt.Fprintf(b, "  note: %s\n", printable(n))
	}
	var t table
	states := 0
	for _, side := range []struct {
		name   string
		values []valueInfo
	}{{"in", ph.Inputs}, {"out", ph.Outputs}} {
		for _, v := range side.values {
			if v.State {
				if states++; states > 1 {
					continue
				}
			}
			t.add(side.name, printable(v.Name), printable(v.Type), printable(v.Meaning))
		}
	}
	_ = t.write(b, "  ")
	if states > 2 {
		fmt.Fprintf(b, "  and %s more, kept from run to run as well\n", plural(states/2-1, "state"))
	}
}

func (m *memoryInfo) rows() table {
	var t table
	t.add("parameters", strconv.FormatInt(m.Parameters, 10))
	var types []string
	for _, d := range sortedKeys(m.WeightsByType) {
		types = append(types, d+" "+bytesText(m.WeightsByType[d]))
	}
	t.add("weights", bytesText(m.Weights), strings.Join(types, ", "))
	if m.StatePerToken > 0 {
		t.add("state", bytesText(m.StatePerToken), "a token of context, "+strings.Join(m.StateTypes, ", "))
	}
	for _, s := range m.Spread {
		var readers []string
		for _, r := range s.Readers {
			readers = append(readers, printable(r.Node)+" on "+string(r.Space))
		}
		t.add(fmt.Sprintf("on %d devices", len(s.Spaces)), bytesText(s.Bytes)+" each", printable(s.Weight)+": "+strings.Join(readers, ", "))
	}
	for _, p := range m.Policy {
		t.add("policy", printable(p))
	}
	return t
}

// counts writes "3 Add, 1 Mul".
func counts(m map[string]int) string {
	var out []string
	for _, k := range sortedKeys(m) {
		out = append(out, fmt.Sprintf("%d %s", m[k], printable(k)))
	}
	return strings.Join(out, ", ")
}
