// Acceptreport makes docs/accept.md of what the accept tests measured.
//
// It reads the events of `go test -json` and takes the lines
//
//	accept: | what | wanted | measured | yes |
//
// that tests print or log: one row each, the last cell yes or no. Failed tests
// get a row too. It exits with 1 if anything is not as wanted.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
)

func main() {
	out := flag.String("o", "docs/accept.md", "the `file` to write")
	flag.Parse()
	if err := run(os.Stdin, *out, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "acceptreport:", err)
		os.Exit(1)
	}
}

func run(events io.Reader, file string, progress io.Writer) error {
	r, err := read(events, progress)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return r.verdict()
}

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// row is a line of the report.
type row struct {
	pkg                    string
	what, wanted, measured string
	ok                     bool
}

type report struct {
	rows []row
}

// read collects rows, and passes on the lines that a person waits for.
func read(events io.Reader, progress io.Writer) (*report, error) {
	var r report
	partial := map[string]string{} // what a test has printed since its last line end
	for d := json.NewDecoder(events); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading events of go test -json: %w", err)
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			partial[key] += e.Output
			line, whole := strings.CutSuffix(partial[key], "\n")
			if !whole {
				continue
			}
			partial[key] = ""
			if err := r.line(e.Package, line); err != nil {
				return nil, err
			}
			if ended := strings.HasPrefix(line, "---") && !strings.Contains(e.Test, "/"); ended || strings.Contains(line, "_test.go:") {
				fmt.Fprintln(progress, line)
			}
		case "build-output":
			fmt.Fprint(progress, e.Output)
		case "fail":
			r.failed(e.Package, e.Test)
		}
	}
	slices.SortStableFunc(r.rows, func(a, b row) int { return strings.Compare(a.pkg, b.pkg) })
	return &r, nil
}

// line takes a row from a line of output, if there is one in it.
func (r *report) line(pkg, line string) error {
	_, cells, ok := strings.Cut(line, "accept: |")
	if !ok {
		return nil
	}
	c := strings.Split(strings.TrimSuffix(strings.TrimSpace(cells), "|"), "|")
	if len(c) != 4 {
		return fmt.Errorf("%s: %q has %d cells, want what, wanted, measured and yes or no", pkg, line, len(c))
	}
	for i := range c {
		c[i] = strings.TrimSpace(c[i])
	}
	if c[3] != "yes" && c[3] != "no" {
		return fmt.Errorf("%s: %q ends in %q, want yes or no", pkg, line, c[3])
	}
	r.rows = append(r.rows, row{pkg, c[0], c[1], c[2], c[3] == "yes"})
	return nil
}

// failed adds a row for a test, or for a package whose rows do not tell why: it
// was not built, say. Subtests fail with the test they belong to.
func (r *report) failed(pkg, test string) {
	told := slices.ContainsFunc(r.rows, func(x row) bool { return x.pkg == pkg && !x.ok })
	switch {
	case test == "" && !told:
		r.rows = append(r.rows, row{pkg, pkg, "passes", "failed", false})
	case test != "" && !strings.Contains(test, "/"):
		r.rows = append(r.rows, row{pkg, test, "passes", "failed", false})
	}
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What was measured\n\nMade by `make accept` with %s on %s/%s, %d processors.\n\n",
		goruntime.Version(), goruntime.GOOS, goruntime.GOARCH, goruntime.NumCPU())
	b.WriteString("| what | wanted | measured | ok |\n| --- | --- | --- | --- |\n")
	for _, x := range r.rows {
		ok := "yes"
		if !x.ok {
			ok = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", x.what, x.wanted, x.measured, ok)
	}
	return b.String()
}

// verdict is an error unless there are rows and all of them are as wanted.
func (r *report) verdict() error {
	if len(r.rows) == 0 {
		return errors.New("no accept test printed a row")
	}
	bad := 0
	for _, x := range r.rows {
		if !x.ok {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d rows are not as wanted", bad, len(r.rows))
	}
	return nil
}
