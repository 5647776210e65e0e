package report

import (
	"math"
	"strings"
	"testing"

	"mnnconv/runtime/compare"
)

func TestPower(t *testing.T) {
	for _, c := range []struct {
		name      string
		f         compare.Figures
		tolerance float64
		want      float64
	}{
		{"at the tolerance", compare.Figures{Max: 1e-3}, 1e-3, 0},
		{"a tenth of it", compare.Figures{Max: 1e-4}, 1e-3, -1},
		{"equal", compare.Figures{}, 1e-3, math.Inf(-1)},
		{"equal where all must be", compare.Figures{}, 0, math.Inf(-1)},
		{"different where all must be equal", compare.Figures{Max: 1}, 0, math.Inf(1)},
		{"not a number", compare.Figures{NaN: 1}, 1e-3, math.Inf(1)},
		{"infinite", compare.Figures{Max: 1e-9, Inf: 1}, 1e-3, math.Inf(1)},
	} {
		if got := power(c.f, c.tolerance); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}

// TestCharts wants charts of anything to be well-formed and to have no position
// that is no number.
func TestCharts(t *testing.T) {
	tensors := []*compare.TensorReport{
		{Phase: "extend", Name: hostile, Figures: compare.Figures{Max: math.NaN(), NaN: 3}},
		{Phase: "extend", Name: "same"},
		{Phase: "extend", Name: "far", Figures: compare.Figures{Max: 1e30}, Tolerance: 1e-9},
	}
	if many := string(Times(make([]Bar, mostMarks+1))); !strings.Contains(many, "the first 200 of 201") || strings.Count(many, "<rect") != mostMarks+1 {
		t.Error("a chart of too many subjects does not say so, or shows them")
	}
	for name, chart := range map[string]string{
		"errors":    string(Errors(tensors)),
		"no errors": string(Errors(nil)),
		"times":     string(Times([]Bar{{hostile, hostile, 0.1}, {"b", "copies", 0}})),
		"no times":  string(Times(nil)),
		"nothing":   string(Times([]Bar{{"a", "b", 0}})),
	} {
		elements(t, name, []byte(chart), "script", "img")
		if strings.Contains(chart, `="NaN`) || strings.Contains(chart, "Inf\"") {
			t.Errorf("%s: a position is no number: %s", name, chart)
		}
	}
}
