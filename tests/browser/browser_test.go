//go:build browser

// Package browser opens reports in Chromium, which must be installed, headless.
package browser

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// build makes the command.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mnnconv")
	command(t, "go", "build", "-o", program, "mnnconv/cmd/mnnconv")
	return program
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

const (
	mostBytes = 5 << 20
	mostTime  = 2 * time.Second
)

// TestReport opens reports: nothing is said on the console, nothing but the file is
// asked for, and the page does what it should.
func TestReport(t *testing.T) {
	program := build(t)
	const model, picture = "../../models/tinyvl", "../../models/tinyvl/demo/describe.png"
	browser := start(t)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"planned", []string{"--place", "vision=sim:0,llm.layers.2=sim:2,llm=sim:1"}},
		{"asked", []string{"--place", "vision=sim:0,llm=sim:1", "-c", "128", "-n", "2", "--image", picture, "-p", "Describe the image."}},
		{"in many pieces", []string{"--place", `/\.(attn|mlp)/=sim:0,vision=sim:1,llm=sim:2`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "report.html")
			command(t, program, append([]string{"report", model, "-o", file}, c.args...)...)
			opens(t, browser, file)
		})
	}
	if file := os.Getenv("REPORT"); file != "" { // of a larger model
		opens(t, browser, file)
	}
}

// opens checks one report.
func opens(t *testing.T, b *browser, file string) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > mostBytes {
		t.Errorf("%d bytes, want at most %d", info.Size(), mostBytes)
	}
	url := "file://" + file
	p := b.open(t, url)
	t.Logf("%d bytes, loaded and drawn in %v", info.Size(), p.loaded)
	if p.loaded > mostTime {
		t.Errorf("loaded in %v, want at most %v", p.loaded, mostTime)
	}
	for _, c := range []struct{ what, script, want string }{
		{"sections", `document.querySelectorAll("section").length >= 5`, "true"},
		{"styled", `getComputedStyle(document.querySelector("nav")).position`, `"sticky"`},
		{"drawn", `document.querySelector("svg.drawing .frame").getBoundingClientRect().width > 0`, "true"},
		{"headings sort", `(() => {
			const table = [...document.querySelectorAll("table")].find((t) => t.caption.textContent === "partitions");
			const head = table.tHead.rows[0].cells[2];
			head.firstChild.focus();
			head.firstChild.click();
			const numbers = [...table.tBodies[0].rows].map((r) => Number(r.cells[2].textContent));
			return head.getAttribute("aria-sort") === "ascending" && numbers.every((n, i) => i === 0 || numbers[i - 1] <= n);
		})()`, "true"},
		{"a box with the focus shows its edges", `(() => {
			document.querySelector("svg.drawing .box").focus();
			return document.querySelectorAll(".edge.hot").length > 0;
		})()`, "true"},
		{"code from elsewhere is refused", `(() => {
			const s = document.createElement("script");
			s.textContent = "window.ran = true";
			document.body.append(s);
			return window.ran === undefined;
		})()`, "true"},
	} {
		if c.what == "code from elsewhere is refused" { // which the console tells
			p.quiet(t)
		}
		if got := p.eval(t, c.script); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	colour := `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.querySelector("svg .frame")).fill`
	light := p.eval(t, colour)
	p.call(t, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": "dark"}}})
	if dark := p.eval(t, colour); dark == light {
		t.Errorf("light and dark are both %s", light)
	}
	p.call(t, "Emulation.setEmulatedMedia", map[string]any{"media": "print"})
	if got := p.eval(t, `getComputedStyle(document.querySelector("nav")).display`); got != `"none"` {
		t.Errorf("printed with navigation: %s", got)
	}
	var printed struct{ Data []byte }
	if err := json.Unmarshal(p.call(t, "Page.printToPDF", map[string]any{}), &printed); err != nil || len(printed.Data) < 1000 {
		t.Errorf("printed as %d bytes: %v", len(printed.Data), err)
	}
	for _, asked := range p.requests {
		if asked != url {
			t.Errorf("the page asked for %s", asked)
		}
	}
	if len(p.requests) == 0 {
		t.Error("no request was seen, not even the page's own")
	}
}
