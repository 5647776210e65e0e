package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mnnconv/cmd/mnnconv/internal/report"
	"mnnconv/partition"
	"mnnconv/runtime/compare"
)

// sheet is a table with a line of headings as one of a page.
func sheet(caption string, t table) report.Table {
	return report.Table{Caption: caption, Head: t[0], Rows: t[1:]}
}

// overview says what the model is.
func overview(x *inspection, o *reportOptions) report.Section {
	s := report.Section{ID: "overview", Title: "Overview", Text: x.Notes}
	fact := func(name, text string) { s.Facts = append(s.Facts, [2]string{name, text}) }
	fact("source", x.Source)
	what := x.Architecture
	if x.Family != "" {
		what += ", as " + x.Family + " writes it"
	}
	fact("model", what)
	if x.Vocabulary > 0 {
		fact("vocabulary", plural(x.Vocabulary, "token"))
		fact("context", plural(x.Context, "token"))
	}
	fact("placement", cmp.Or(o.place, "as the source says, or cpu"))
	fact("parameters", strconv.FormatInt(x.Memory.Parameters, 10))
	fact("weights", bytesText(x.Memory.Weights))
	if x.Memory.StatePerToken > 0 {
		fact("state", bytesText(x.Memory.StatePerToken)+" a token of context, "+strings.Join(x.Memory.StateTypes, ", "))
	}
	files := table{{"file", "size"}}
	for _, f := range x.Files {
		files.add(f.Name, bytesText(f.Bytes))
	}
	phases := table{{"phase", "nodes", "operators", "raised to", "not canonical"}}
	for _, p := range x.Phases {
		phases.add(p.Name, strconv.Itoa(p.Nodes), counts(p.Operators), counts(p.Raised), strings.Join(p.Left, "; "))
		for _, r := range p.Repaired {
			s.Text = append(s.Text, p.Name+": repaired: "+r)
		}
	}
	stages := table{{"stage", "file"}}
	for _, st := range x.Stages {
		stages.add(st.Name, st.File)
	}
	s.Tables = []report.Table{sheet("files", files), sheet("stages", stages), sheet("phases", phases)}
	return s
}

// drawn shows how the model is cut.
func drawn(x *inspection, d *report.Drawing) report.Section {
	parts := table{{"partition", "device", "nodes", "kernels", "first node", "why it is there"}}
	for _, p := range x.Partitions {
		first, why := "", ""
		if len(p.Nodes) > 0 {
			first, why = cmp.Or(p.Nodes[0].Path, p.Nodes[0].Name), p.Nodes[0].Why
		}
		parts.add(p.Phase+" "+strconv.Itoa(p.Index), p.Target, strconv.Itoa(len(p.Nodes)), strconv.Itoa(p.Kernels), first, why)
	}
	copies := table{{"phase", "value", "from", "to", "bytes", "route"}}
	for _, c := range x.Copies {
		copies.add(c.Phase, c.Value, c.From, c.To, c.Bytes, c.Route)
	}
	points := table{{"from", "to", "value", "type", "bytes"}}
	for _, p := range x.SplitPoints {
		for _, v := range p.Values {
			points.add(p.From, p.To, v.Value, v.Type, v.Bytes)
		}
	}
	return report.Section{ID: "partitions", Title: "Partitions and copies",
		Figures: []report.Figure{{Caption: "A column for each device. Dashed boxes are what the caller gives and takes, and copies between memories.", SVG: d.Picture()}},
		Tables:  []report.Table{sheet("partitions", parts), sheet("copies", copies), sheet("split points between stages", points)}}
}

// agreed shows the contracts.
func agreed(set *partition.ContractSet, violations error) report.Section {
	s := report.Section{ID: "contracts", Title: "Contracts", Text: []string{plural(len(set.Contracts), "boundary tensor") + ", each checked on both sides without a device."}}
	if violations != nil {
		s.Failures = lines(violations)
	}
	t := contractTable(set)
	t[0][len(t[0])-1] = "verdict"
	s.Tables = append(s.Tables, sheet("boundary tensors", t))
	symbols := table{{"phase", "symbol", "at most", "from"}}
	for _, x := range set.Symbols {
		most := "not bounded"
		if x.Most > 0 {
			most = strconv.FormatInt(x.Most, 10)
		}
		symbols.add(x.Phase, x.Name, most, x.Origin)
	}
	s.Tables = append(s.Tables, sheet("symbols", symbols))
	for i := range set.Contracts {
		s.Details = append(s.Details, detailOf(&set.Contracts[i]))
	}
	return s
}

// remembered shows the memory of a session.
func remembered(x *inspection, spaces []report.Space, short error) report.Section {
	s := report.Section{ID: "memory", Title: "Memory", Text: []string{"What a session needs, known before anything is loaded; a tick is a kernel or a copy."}}
	if x.Memory.Capacity > 0 {
		s.Text[0] += fmt.Sprintf(" The context has %d tokens.", x.Memory.Capacity)
	}
	if short != nil {
		s.Failures = lines(short)
	}
	for i := range spaces {
		s.Figures = append(s.Figures, report.Figure{Caption: spaces[i].Name + " over time; dashed: what is laid out for values", SVG: spaces[i].Chart(sizeText)})
	}
	t := budgetTable(x.Memory.Spaces)
	for i := range t { // every row as long as the head
		t[i] = append(t[i], make([]string, len(t[0])-len(t[i]))...)
	}
	s.Tables = []report.Table{sheet("bytes by space and phase", t)}
	return s
}

// timed shows where the time of a run went.
func timed(r *statsReport, answer string) report.Section {
	s := report.Section{ID: "time", Title: "Time", Text: []string{"One run on this machine."}}
	if answer != "" {
		s.Facts = append(s.Facts, [2]string{"answer, from its beginning", answer})
	}
	bars := []report.Bar{}
	for _, x := range r.Rows {
		bars = append(bars, report.Bar{Name: x.Part + ": " + x.What, Series: cmp.Or(x.Device, "copies"), Seconds: x.Seconds})
	}
	s.Figures = []report.Figure{{Caption: "time of each partition and copy, all runs together", SVG: report.Times(bars)}}
	s.Tables = []report.Table{sheet("by part, partition and copy", r.table())}
	return s
}

// compared shows how far the cut model is from the reference.
func compared(r *compare.Report) report.Section {
	s := report.Section{ID: "comparison", Title: "Comparison", Text: []string{"Reference: " + r.Reference + "."}}
	if r.Verdict == compare.Same {
		s.Text = append(s.Text, r.Sentence)
	} else {
		s.Failures = []string{r.Sentence}
	}
	s.Figures = []report.Figure{{Caption: "largest difference of each boundary tensor, in its tolerance", SVG: report.Errors(r.Tensors)}}
	parts, tensors := comparisonTables(r)
	s.Tables = []report.Table{sheet("partitions", parts), sheet("boundary tensors", tensors)}
	return s
}

// repeating returns the commands that find again what a report shows, with the
// flags of this one that they know.
func repeating(cmd *cobra.Command, src string) []string {
	asked := false
	for _, name := range []string{"prompt", "input", "inputs"} {
		asked = asked || cmd.Flags().Changed(name)
	}
	var out []string
	for _, name := range []string{"report", "inspect", "validate", "compare", "run"} {
		if (name == "compare" || name == "run") && !asked || name == "run" && cmd.Flags().Changed("inputs") {
			continue
		}
		other, _, err := cmd.Root().Find([]string{name})
		if err != nil {
			continue
		}
		line := []string{"mnnconv", name, quoted(src)}
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if known := other.Flags().Lookup(f.Name); known == nil {
				return
			}
			for _, v := range valuesOf(f) {
				line = append(line, "--"+f.Name+"="+quoted(v))
			}
		})
		out = append(out, strings.Join(line, " "))
	}
	return out
}

// valuesOf returns what a flag was given.
func valuesOf(f *pflag.Flag) []string {
	switch v := f.Value.(type) {
	case list:
		return *v.values
	case mediaFlag:
		var out []string
		for _, m := range *v.list {
			if m.video == v.video {
				out = append(out, m.files[0])
			}
		}
		return out
	}
	return []string{f.Value.String()}
}

// quoted writes a word for a shell.
func quoted(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+%", r)
	}
	if s != "" && !slices.ContainsFunc([]rune(s), func(r rune) bool { return !safe(r) }) {
		return s
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) { // bash, zsh and ksh read escapes
		q := strconv.QuoteToASCII(s)
		return "$'" + strings.ReplaceAll(q[1:len(q)-1], "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
