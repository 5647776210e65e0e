package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLengths(t *testing.T) {
	for text, want := range map[string]string{
		"512": "[512]", "128,512": "[128 512]", "64-256+64": "[64 128 192 256]", "1-3,2,8": "[1 2 3 8]", "0": "[]",
		"": "-p", "a": "-p", "-5": "-p", "8-4": "-p", "4-8+0": "-p", "1-1000": "-p", "2000000": "-p",
	} {
		got, err := lengths("-p", text)
		if err != nil {
			if !strings.Contains(err.Error(), want) || !errors.Is(err, errUsage) {
				t.Errorf("%q: %v", text, err)
			}
		} else if fmt.Sprint(got) != want {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
}

func TestPictureSizes(t *testing.T) {
	for text, want := range map[string]string{"640x480": "[[640 480]]", "0x0": "[]", "": "", "12": "", "0x5": "", "ax5": "", "-1x5": "", "99999x5": ""} {
		got, err := pictureSizes([]string{text})
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	if got, err := pictureSizes(nil); err != nil || fmt.Sprint(got) != "[[448 448]]" {
		t.Errorf("by default: %v, %v", got, err)
	}
}

// TestSum wants median, percentiles by nearest rank, spread and rate.
func TestSum(t *testing.T) {
	x := benchRow{Work: 100, Seconds: []float64{4, 1, 3, 2, 10}}
	x.sum()
	if want := (benchSummary{Median: 3, P90: 10, P99: 10, Least: 1, Most: 10, Spread: 1.5, Rate: 100.0 / 3}); x.benchSummary != want {
		t.Errorf("%+v, want %+v", x.benchSummary, want)
	}
	if fmt.Sprint(x.Seconds) != "[4 1 3 2 10]" {
		t.Errorf("the order is lost: %v", x.Seconds)
	}
}

// TestAgainst compares a run that is twice as slow, one that only scatters, and one
// that is faster, with a report on disk.
func TestAgainst(t *testing.T) {
	row := func(test string, factor float64, n int) benchRow {
		x := benchRow{Test: test, Work: 10, Unit: "tokens"}
		for i := range n {
			x.Seconds = append(x.Seconds, factor*(1+0.01*float64(i*7%5)))
		}
		return x
	}
	report := func(factor float64, n int) *benchReport {
		r := &benchReport{SchemaVersion: schemaVersion, Rows: []benchRow{row("pp8", factor, n), row("tg8", 1.001, n)}}
		for i := range r.Rows {
			r.Rows[i].sum()
		}
		return r
	}
	for _, c := range []struct {
		factor  float64
		n       int
		fail    float64
		verdict string
		exit    int
		note    string
	}{
		{2, 5, 0, "slower", 0, ""},
		{2, 5, 50, "slower", 10, ""},
		{2, 5, 150, "slower", 0, ""},
		{0.5, 5, 1, "faster", 0, ""},
		{1.002, 5, 0.01, "no difference", 0, ""},
		{2, 2, 50, "no difference", 0, "too few repeats"},
	} {
		file := filepath.Join(t.TempDir(), "before.json")
		var b bytes.Buffer
		if err := report(1, c.n).write(&b, "json"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		before, err := readBench(file)
		if err != nil {
			t.Fatal(err)
		}
		var out, notes bytes.Buffer
		o := &benchOptions{app: &app{out: &out, err: &notes}, format: "csv", against: file, failSlower: c.fail}
		code := 0
		if err := against(o, before, report(c.factor, c.n)); err != nil {
			code, _ = exitOf(err)
			if !strings.Contains(err.Error(), "pp8 is 100.0 % slower") {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if code != c.exit || !strings.Contains(out.String(), "\npp8,1.0") || !strings.Contains(strings.Split(out.String(), "\n")[1], ","+c.verdict) ||
			!strings.Contains(strings.Split(out.String(), "\n")[2], ",no difference") || !strings.Contains(notes.String(), c.note) {
			t.Errorf("%+v: exit %d, %s%s", c, code, out.String(), notes.String())
		}
	}
}

// TestBenchUnwritten: a report that cannot be written is one error, in every form.
func TestBenchUnwritten(t *testing.T) {
	r := &benchReport{Rows: []benchRow{{Test: "pp8", Work: 8, Unit: "tokens", Seconds: []float64{1}}}}
	for _, format := range []string{"md", "csv", "json"} {
		if err := r.write(full{}, format); err == nil || len(lines(err)) != 1 {
			t.Errorf("%s: %v", format, err)
		}
	}
}
