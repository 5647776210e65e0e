package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	goruntime "runtime"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"

	"mnnconv/partition"
	"mnnconv/runtime/host"
	"mnnconv/schemas/jsonkeys"
)

// errBench: a file holds no results of bench.
var errBench = errors.New("no results of mnnconv bench --format json")

// benchReport is the result of bench.
type benchReport struct {
	SchemaVersion int        `json:"schema_version"`
	Tool          string     `json:"tool"`
	Model         string     `json:"model"`
	Place         string     `json:"place"`
	Schedule      string     `json:"schedule"`
	Check         string     `json:"check"`
	Math          string     `json:"math"`
	State         string     `json:"state"`
	DType         string     `json:"dtype"`
	Kernels       string     `json:"kernels"` // level of vector instructions on the processor
	Threads       int        `json:"threads"` // processors that the process may use
	Devices       []string   `json:"devices"` // name and vendor
	Repeats       int        `json:"repeats"`
	Rows          []benchRow `json:"rows"`

	placed string // where it ran, by Place or, without it, by the model or package itself
}

// benchRow is one measurement: how long some work took, each time.
type benchRow struct {
	Test    string    `json:"test"`
	Work    int       `json:"work"` // in units
	Unit    string    `json:"unit"`
	Seconds []float64 `json:"seconds"` // of each repeat, in order
	// Steps: they are of single steps, which hang together and are not compared.
	Steps bool `json:"steps,omitempty"`

	benchSummary
}

// benchSummary follows from a row's seconds.
type benchSummary struct {
	Median float64 `json:"median"` // seconds
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Least  float64 `json:"min"`
	Most   float64 `json:"max"`
	Spread float64 `json:"spread"` // half of max - min, as a share of the median
	Rate   float64 `json:"rate"`   // units a second, by the median
}

func (o *benchOptions) threadsUsed() int {
	if o.threads > 0 {
		return o.threads
	}
	return goruntime.GOMAXPROCS(0)
}

// describe says under which conditions the rows were measured, and sums them up.
func (r *benchReport) describe(o *benchOptions, src string) {
	r.SchemaVersion, r.Tool, r.Model, r.Place, r.Schedule, r.Check = schemaVersion, readVersion().String(), src, o.place, o.schedule, o.checks
	r.Math, r.State, r.DType, r.Kernels = cmp.Or(o.math, "exact"), o.state, o.dtype, host.Vectors()
	r.Threads, r.Repeats = o.threadsUsed(), o.repeats
	for i := range r.Rows {
		r.Rows[i].sum()
	}
}

func (x *benchRow) sum() {
	v := slices.Sorted(slices.Values(x.Seconds))
	at := func(q float64) float64 { // nearest rank
		return v[min(len(v)-1, max(0, int(math.Ceil(q*float64(len(v))))-1))]
	}
	x.Median = benchmath.AssumeNothing.Summary(sample(x.Seconds), 0.95).Center
	x.P90, x.P99, x.Least, x.Most = at(0.9), at(0.99), v[0], v[len(v)-1]
	if x.Median > 0 {
		x.Spread = (x.Most - x.Least) / 2 / x.Median
		x.Rate = float64(x.Work) / x.Median
	}
}

// sample leaves the order of values as it is.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// readBench reads a report and checks that it can be compared with.
func readBench(file string) (*benchReport, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r benchReport
	if err := jsonkeys.Unmarshal(b, &r, true); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, errBench, err)
	}
	if r.SchemaVersion != schemaVersion || len(r.Rows) == 0 {
		return nil, fmt.Errorf("%s: %w: version %d with %d rows", file, errBench, r.SchemaVersion, len(r.Rows))
	}
	for i := range r.Rows {
		if len(r.Rows[i].Seconds) == 0 {
			return nil, fmt.Errorf("%s: %w: row %q has no seconds", file, errBench, r.Rows[i].Test)
		}
		r.Rows[i].sum()
	}
	return &r, nil
}

func (r *benchReport) write(w io.Writer, format string) error {
	if format == "json" {
		return writeJSON(w, r)
	}
	t := table{{"test", "median", "spread", "p90", "p99", "min", "max", "rate"}}
	for _, x := range r.Rows {
		t.add(printable(x.Test), secondsText(x.Median), fmt.Sprintf("± %.1f %%", x.Spread*100), secondsText(x.P90), secondsText(x.P99), secondsText(x.Least), secondsText(x.Most), x.rateText())
	}
	if format == "csv" {
		c := csv.NewWriter(w)
		_ = c.Write([]string{"test", "work", "unit", "repeats", "median_s", "spread", "p90_s", "p99_s", "min_s", "max_s", "rate_per_s"}) // kept for Flush
		for _, x := range r.Rows {
			row := []string{x.Test, fmt.Sprint(x.Work), x.Unit, fmt.Sprint(len(x.Seconds))}
			for _, v := range []float64{x.Median, x.Spread, x.P90, x.P99, x.Least, x.Most, x.Rate} {
				row = append(row, fmt.Sprintf("%.9g", v))
			}
			_ = c.Write(row)
		}
		c.Flush()
		return c.Error()
	}
	if _, err := fmt.Fprintf(w, "%s, placed on %s, %d repeats, %d processors\n\n", printable(r.Model), printable(r.placed), r.Repeats, r.Threads); err != nil {
		return err
	}
	return t.markdown(w)
}

// placement says where the phases of a model run.
func placement(plans []*partition.Plan) string {
	var all []string
	for _, p := range plans {
		all = append(all, p.Phase+" on "+targets(p))
	}
	if one := targets(plans[0]); !slices.ContainsFunc(plans, func(p *partition.Plan) bool { return targets(p) != one }) {
		return one
	}
	return strings.Join(all, "; ")
}

// markdown prints the rows as a table, the first one as its head; all columns but
// the first are numbers.
func (t table) markdown(w io.Writer) error {
	var b strings.Builder
	for i, row := range t {
		b.WriteString("| " + strings.ReplaceAll(strings.Join(row, " | "), "\n", " ") + " |\n")
		if i == 0 {
			b.WriteString("| --- |" + strings.Repeat(" ---: |", len(row)-1) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func secondsText(s float64) string {
	switch {
	case s < 1e-3:
		return fmt.Sprintf("%.1f µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.2f ms", s*1e3)
	}
	return fmt.Sprintf("%.3f s", s)
}

func (x *benchRow) rateText() string {
	switch {
	case x.Rate == 0:
		return "-"
	case x.Unit == "bytes":
		return fmt.Sprintf("%.3g GB/s", x.Rate/1e9)
	case x.Unit == "loads":
		return "-"
	}
	return fmt.Sprintf("%.1f t/s", x.Rate)
}
