package report

import (
	"fmt"
	"io"
	"strings"
)

// WriteDOT writes the drawing for Graphviz: a cluster for each phase.
func (d *Drawing) WriteDOT(w io.Writer) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("digraph model {\n  rankdir=TB;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n")
	phase := ""
	for i, x := range d.boxes {
		if x.kind == inputs {
			if i > 0 {
				p("  }\n")
			}
			phase = x.phase
			p("  subgraph cluster_%d {\n    label=%s;\n", i, quote(phase))
		}
		lines := x.values
		for _, c := range x.chips {
			lines = append(lines, c.text)
		}
		shape := ""
		if x.kind == copied {
			shape = ", shape=cds, style=\"\""
		}
		p("    n%d [label=%s%s];\n", i, quote(x.title, lines...), shape)
	}
	if len(d.boxes) > 0 {
		p("  }\n")
	}
	for _, e := range d.edges {
		style := ""
		if e.link {
			style = ", style=dashed"
		}
		p("  n%d -> n%d [tooltip=%s%s];\n", e.from, e.to, quote("", e.values...), style)
	}
	p("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quote writes lines as a string of DOT, in which a backslash begins an escape.
func quote(first string, more ...string) string {
	text := plain(first)
	for i, line := range more {
		if text != "" {
			text += "\n"
		}
		if i == mostValues {
			text += fmt.Sprintf("and %d more", len(more)-i)
			break
		}
		text += plain(line)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
