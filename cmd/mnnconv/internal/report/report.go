// Package report draws planned models, and writes all that is known of one as a
// single HTML file that needs nothing from elsewhere.
//
// What flows in: plans, budgets, comparisons, tables of text. What flows out: SVG,
// DOT and HTML. All text is escaped here: names come from files that are not to be
// trusted.
package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
)

// Document is what a report holds, in the order in which it is shown.
type Document struct {
	Title    string
	Tool     string // that wrote it
	Sections []Section
}

// Section is a part of a report with a heading. All but ID and Title is optional.
type Section struct {
	ID, Title string
	Facts     [][2]string // names and what they are
	Text      []string    // paragraphs
	Failures  []string    // paragraphs that stand out
	Figures   []Figure
	Tables    []Table
	Details   []Detail
	Commands  []string
}

// Figure is a picture with a caption.
type Figure struct {
	Caption string
	SVG     Markup
}

// Picture is the drawing as a figure of a page, which has its style.
func (d *Drawing) Picture() Markup { return Markup(d.svg("")) }

// Table is rows that readers can sort.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Detail is facts that are shown when asked for.
type Detail struct {
	Title string
	Facts [][2]string
}

// mostTable is how many rows of a table, and how many details, a report has. It
// says how many it leaves out.
const mostTable = 2000

var (
	//go:embed report.css
	pageStyle string
	//go:embed report.js
	pageScript string
)

// Write writes the report. Its policy lets the page load nothing, and run its own
// script alone.
func (d *Document) Write(w io.Writer) error {
	var p page
	p.document(d)
	_, err := io.WriteString(w, p.String())
	return err
}

// hash is how a policy names a style or script.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
