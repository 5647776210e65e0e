package report

import (
	"fmt"
	"strings"
)

// Markup is HTML or SVG whose texts are escaped.
type Markup string

// page is a report while it is written.
type page struct{ strings.Builder }

// put writes markup with values in it. Texts are escaped, and so safe between tags
// and within quotes; Markup is not.
func (p *page) put(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = escape(s)
		}
	}
	fmt.Fprintf(p, format, args...)
}

func (p *page) document(d *Document) {
	style := "\n" + drawingStyle + pageStyle
	p.put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none'; form-action 'none'; style-src '%s'; script-src '%s'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta name="referrer" content="no-referrer"/>
<meta name="generator" content="%s"/>
<title>%s</title>
<style>%s</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header><h1>%s</h1></header>
<nav aria-label="Sections"><ul>`, Markup(hash(style)), Markup(hash(pageScript)), d.Tool, d.Title, Markup(style), d.Title)
	for _, s := range d.Sections {
		p.put(`<li><a href="#%s">%s</a></li>`, s.ID, s.Title)
	}
	p.put(`</ul></nav>
<main id="main" tabindex="-1">`)
	for _, s := range d.Sections {
		p.section(s)
	}
	p.put(`
</main>
<footer>%s</footer>
<script>%s</script>
</body>
</html>
`, d.Tool, Markup(pageScript))
}

func (p *page) section(s Section) {
	p.put(`
<section id="%s" aria-labelledby="%[1]s-title">
<h2 id="%[1]s-title">%[2]s</h2>`, s.ID, s.Title)
	if len(s.Facts) > 0 {
		p.put("\n")
		p.facts(s.Facts)
	}
	for _, text := range s.Text {
		p.put("\n<p>%s</p>", text)
	}
	for _, text := range s.Failures {
		p.put("\n"+`<p class="failure" role="alert">%s</p>`, text)
	}
	for _, f := range s.Figures {
		p.put(`
<figure><figcaption>%s</figcaption><div class="wide" tabindex="0" role="group" aria-label="%[1]s">%[2]s</div></figure>`, f.Caption, f.SVG)
	}
	for _, t := range s.Tables {
		p.table(t)
	}
	shown := s.Details[:min(len(s.Details), mostTable)]
	for _, d := range shown {
		p.put("\n<details><summary>%s</summary>", d.Title)
		p.facts(d.Facts)
		p.put("</details>")
	}
	if left := len(s.Details) - len(shown); left > 0 {
		p.put("\n<p>%d more are left out here.</p>", left)
	}
	for _, command := range s.Commands {
		p.put("\n"+`<pre tabindex="0">%s</pre>`, Markup(escapeAll(command)))
	}
	p.put("\n</section>")
}

func (p *page) facts(facts [][2]string) {
	p.put("<dl>")
	for _, f := range facts {
		p.put("<dt>%s</dt><dd>%s</dd>", f[0], f[1])
	}
	p.put("</dl>")
}

func (p *page) table(t Table) {
	p.put(`
<div class="wide" tabindex="0" role="group" aria-label="%s"><table>
<caption>%[1]s</caption>
<thead><tr>`, t.Caption)
	for _, head := range t.Head {
		p.put(`<th scope="col">%s</th>`, head)
	}
	p.put("</tr></thead>\n<tbody>")
	shown := t.Rows[:min(len(t.Rows), mostTable)]
	for _, row := range shown {
		p.put("\n<tr>")
		for _, cell := range row {
			p.put("<td>%s</td>", cell)
		}
		p.put("</tr>")
	}
	p.put("\n</tbody>\n</table></div>")
	if left := len(t.Rows) - len(shown); left > 0 {
		p.put("\n<p>%d more rows are left out here.</p>", left)
	}
}
