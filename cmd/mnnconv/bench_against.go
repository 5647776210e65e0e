package main

import (
	"encoding/csv"
	"errors"
	"fmt"

	"golang.org/x/perf/benchmath"
)

// benchChange is a row that two reports have.
type benchChange struct {
	Test    string  `json:"test"`
	Before  float64 `json:"before"` // median, in seconds
	After   float64 `json:"after"`
	Change  float64 `json:"change"` // of the time, in percent
	P       float64 `json:"p"`      // that both come from one distribution, by the U test
	Verdict string  `json:"verdict"`
	N       [2]int  `json:"n"`
}

// against prints what changed since a report, and fails if that is asked for.
func against(o *benchOptions, before, after *benchReport) error {
	for _, f := range []struct{ what, a, b string }{
		{"kind of checks", before.Check, after.Check}, {"--math", before.Math, after.Math}, {"--state", before.State, after.State}, {"--dtype", before.DType, after.DType},
		{"level of kernels", before.Kernels, after.Kernels},
		{"model", before.Model, after.Model}, {"placement", before.Place, after.Place}, {"schedule", before.Schedule, after.Schedule},
		{"list of devices", fmt.Sprint(before.Devices), fmt.Sprint(after.Devices)}, {"number of processors", fmt.Sprint(before.Threads), fmt.Sprint(after.Threads)},
	} {
		if f.a != f.b {
			fmt.Fprintf(o.err, "mnnconv: note: %s: another %s: %q before, %q now\n", o.against, f.what, printable(f.a), printable(f.b))
		}
	}
	changes := []benchChange{}
	var slower []error
	old := map[string]*benchRow{}
	for i := range before.Rows {
		old[before.Rows[i].Test] = &before.Rows[i]
	}
	few := false
	for _, x := range after.Rows {
		b := old[x.Test]
		if b == nil || b.Work != x.Work || b.Unit != x.Unit || x.Steps {
			continue
		}
		c, warned := change(b, &x)
		few = few || warned
		changes = append(changes, c)
		if o.failSlower > 0 && c.Verdict == "slower" && c.Change > o.failSlower {
			slower = append(slower, fmt.Errorf("%w: %s is %.1f %% slower than in %s (p = %.3f), over %g %%", errDiffer, c.Test, c.Change, o.against, c.P, o.failSlower))
		}
	}
	if len(changes) == 0 {
		return fmt.Errorf("%s: %w: it has none of the tests measured now", o.against, errBench)
	}
	if few {
		fmt.Fprintf(o.err, "mnnconv: note: too few repeats to tell any difference: 4 or more on both sides (-r)\n")
	}
	if err := writeChanges(o, after, changes); err != nil {
		return err
	}
	return errors.Join(slower...)
}

// change compares two rows; few tells that they have too few repeats for it.
func change(before, after *benchRow) (c benchChange, few bool) {
	test := benchmath.AssumeNothing.Compare(sample(before.Seconds), sample(after.Seconds))
	c = benchChange{Test: after.Test, Before: before.Median, After: after.Median, P: test.P, Verdict: "no difference", N: [2]int{test.N1, test.N2}}
	if before.Median > 0 {
		c.Change = 100 * (after.Median/before.Median - 1)
	}
	if test.P <= test.Alpha {
		switch {
		case after.Median > before.Median:
			c.Verdict = "slower"
		case after.Median < before.Median:
			c.Verdict = "faster"
		}
	}
	return c, len(test.Warnings) > 0
}

func writeChanges(o *benchOptions, after *benchReport, changes []benchChange) error {
	switch o.format {
	case "json":
		return writeJSON(o.out, struct {
			*benchReport
			Against string        `json:"against"`
			Changes []benchChange `json:"changes"`
		}{after, o.against, changes})
	case "csv":
		w := csv.NewWriter(o.out)
		_ = w.Write([]string{"test", "before_s", "after_s", "change_percent", "p", "verdict"}) // kept for Flush
		for _, c := range changes {
			_ = w.Write([]string{c.Test, fmt.Sprintf("%.9g", c.Before), fmt.Sprintf("%.9g", c.After), fmt.Sprintf("%.4g", c.Change), fmt.Sprintf("%.4g", c.P), c.Verdict})
		}
		w.Flush()
		return w.Error()
	}
	t := table{{"test", "before", "now", "change", "p", "verdict"}}
	for _, c := range changes {
		t.add(printable(c.Test), secondsText(c.Before), secondsText(c.After), fmt.Sprintf("%+.1f %%", c.Change), fmt.Sprintf("%.3f", c.P), c.Verdict)
	}
	return t.markdown(o.out)
}
