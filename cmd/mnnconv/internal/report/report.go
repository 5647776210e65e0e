// Package report draws planned models, and writes all that is known of one as a
// single HTML file that needs nothing from elsewhere.
//
// What flows in: plans, budgets, comparisons, tables of text. What flows out: SVG,
// DOT and HTML. All text is escaped here: names come from files that are not to be
// trusted.
package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
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
	SVG     template.HTML
}

// Picture is the drawing as a figure of a page, which has its style.
func (d *Drawing) Picture() template.HTML {
	return template.HTML(d.svg("")) //nolint:gosec // every text in it went through escape
}

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

// Shown are the rows that a report has.
func (t Table) Shown() [][]string { return t.Rows[:min(len(t.Rows), mostTable)] }

// Left is how many rows a report has not.
func (t Table) Left() int { return len(t.Rows) - len(t.Shown()) }

// ShownDetails are the details that a report has.
func (s Section) ShownDetails() []Detail { return s.Details[:min(len(s.Details), mostTable)] }

// LeftDetails is how many details a report has not.
func (s Section) LeftDetails() int { return len(s.Details) - len(s.ShownDetails()) }

var (
	//go:embed report.html
	pageText string
	//go:embed report.css
	pageStyle string
	//go:embed report.js
	pageScript string
)

var page = template.Must(template.New("report").Funcs(template.FuncMap{"plain": plain, "visible": visible}).Parse(pageText))

// Write writes the report. Its policy lets the page load nothing, and run its own
// script alone.
func (d *Document) Write(w io.Writer) error {
	style := "\n" + drawingStyle + pageStyle
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		*Document
		Policy string
		Style  template.CSS
		Script template.JS
	}{
		d, fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; style-src '%s'; script-src '%s'", hash(style), hash(pageScript)),
		template.CSS(style), template.JS(pageScript), //nolint:gosec // both are files beside this one
	})
	if err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// hash is how a policy names a style or script.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
