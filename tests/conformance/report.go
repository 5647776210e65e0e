package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mnnconv/schemas/onnx"
)

// row is what the report says of one operator.
type row struct {
	operator      string
	cases, passed int
	reasons       map[string]int // of cases that are skipped
}

// Report writes docs/conformance.md: what the suite and skip.txt say, which Test
// holds the code to, and how many cases have a node on each of the given benches'
// devices.
func Report(benches ...*Bench) (string, error) {
	cases, err := Cases()
	if err != nil {
		return "", err
	}
	list, err := Skips()
	if err != nil {
		return "", err
	}
	operators, err := operatorsOf(cases)
	if err != nil {
		return "", err
	}
	rows := map[string]*row{}
	suites := map[string]*row{}
	for i, c := range cases {
		s := skipped(list, c)
		for _, r := range []*row{at(rows, operators[i]), at(suites, c.Suite)} {
			if r.cases++; s == nil {
				r.passed++
			} else {
				r.reasons[s.Reason]++
			}
		}
	}
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("\n| suite | cases | passed | skipped |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(suites)) {
		r := suites[name]
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", name, r.cases, r.passed, r.cases-r.passed)
	}
	b.WriteString("\n| backend | cases with nodes on it, all passed |\n| --- | --- |\n")
	for _, bench := range benches {
		n, err := bench.claims(cases, list)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %d |\n", bench.Device.Profile.Name, n)
	}
	b.WriteString("\n## Skipped\n\n| reason | cases |\n| --- | --- |\n")
	reasons := map[string]int{}
	for _, r := range suites {
		for reason, n := range r.reasons {
			reasons[reason] += n
		}
	}
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(x, y string) int { return cmp.Or(reasons[y]-reasons[x], strings.Compare(x, y)) }) {
		fmt.Fprintf(&b, "| %s | %d |\n", reason, reasons[reason])
	}
	b.WriteString("\n## Operators\n\n| operator | cases | passed | skipped, and why |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		fmt.Fprintf(&b, "| %s | %d | %d | %s |\n", name, r.cases, r.passed, r.why())
	}
	return b.String(), nil
}

const head = `# Conformance

ONNX's backend tests of release 1.22.0 (` + "`tests/conformance/testdata`" + `), with ONNX's own tolerances: relative 1e-3, absolute 1e-7, integers and strings exactly.
` + "`go test ./tests/conformance`" + ` runs every case but those of ` + "`tests/conformance/skip.txt`" + `, on the CPU and on a simulated device with the CPU beside it, through import,
raising, planning and the runtime as any model. What a device cannot hold (strings, sequences, optionals) runs on the CPU.

This page is written by ` + "`make conformance`" + `; a test compares it.
`

func at(rows map[string]*row, name string) *row {
	if rows[name] == nil {
		rows[name] = &row{operator: name, reasons: map[string]int{}}
	}
	return rows[name]
}

func (r *row) why() string {
	var out []string
	for _, reason := range slices.Sorted(maps.Keys(r.reasons)) {
		out = append(out, fmt.Sprintf("%d: %s", r.reasons[reason], reason))
	}
	return strings.Join(out, "; ")
}

// claims counts the cases that have a node on the bench's device.
func (b *Bench) claims(cases []*Case, list []Skip) (int, error) {
	n := 0
	for _, c := range cases {
		if skipped(list, c) != nil {
			continue
		}
		p, err := b.Plan(c)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c, err)
		}
		if p.Claimed() {
			n++
		}
		if err := p.Close(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// operatorsOf names the operator that each case is about. An expanded case, in
// which an operator is written out in others, is about what the case of the same
// name is about.
func operatorsOf(cases []*Case) ([]string, error) {
	known := map[string]string{}
	out := make([]string, len(cases))
	for i, c := range cases {
		if c.Suite != "node" {
			out[i] = "models (" + c.Suite + ")"
			continue
		}
		base, _, _ := strings.Cut(c.Name, "_expanded")
		if name, ok := known[base]; ok {
			out[i] = name
			continue
		}
		m, err := onnx.Decode(c.Name, c.Model, onnx.Options{})
		if err != nil {
			return nil, err
		}
		for _, n := range m.Graph.Nodes { // the one that the case is named after, else the first
			named := strings.HasPrefix(strings.ReplaceAll(c.Name, "_", ""), strings.ToLower(n.Op))
			if out[i] == "" || named {
				out[i] = n.OpName()
			}
			if named {
				break
			}
		}
		known[base] = out[i]
		if err := m.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
