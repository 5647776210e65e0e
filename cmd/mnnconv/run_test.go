package main

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
)

func TestSamplingOver(t *testing.T) {
	greedy := generate.Options{Temperature: 0.7, TopK: 50, TopP: 1, RepetitionPenalty: 1.05}
	sampled := greedy
	sampled.Sample = true
	for _, c := range []struct {
		model generate.Options
		args  string
		want  generate.Options
	}{
		{greedy, "", greedy},
		{sampled, "", sampled},
		{greedy, "--seed 7", generate.Options{Temperature: 0.7, TopK: 50, TopP: 1, RepetitionPenalty: 1.05, Seed: 7}},
		{greedy, "--temperature 2", generate.Options{Sample: true, Temperature: 2, TopK: 50, TopP: 1, RepetitionPenalty: 1.05}},
		{greedy, "--top-p 0.5 --min-p 0.1 --top-k 3", generate.Options{Sample: true, Temperature: 0.7, TopK: 3, TopP: 0.5, MinP: 0.1, RepetitionPenalty: 1.05}},
		{sampled, "--temperature 0 --top-p 0.5", generate.Options{TopK: 50, TopP: 0.5, RepetitionPenalty: 1.05}},
		{sampled, "--repetition-penalty 1", generate.Options{Sample: true, Temperature: 0.7, TopK: 50, TopP: 1, RepetitionPenalty: 1}},
	} {
		var s samplingFlags
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.add(flags)
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		if got := s.over(c.model); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.args, got, c.want)
		}
	}
}

func TestReadLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("one\r\n\n"+strings.Repeat("x", 100)+"\nlast"), 16)
	for _, want := range []string{"one", "", strings.Repeat("x", 100)} {
		if got, err := readLine(r, 1000); string(got) != want || err != nil {
			t.Errorf("%q %v, want %q", got, err, want)
		}
	}
	if got, err := readLine(r, 1000); string(got) != "last" || !errors.Is(err, io.EOF) {
		t.Errorf("%q %v", got, err)
	}
	if _, err := readLine(bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 100)), 16), 99); !errors.Is(err, errLine) {
		t.Errorf("a line over the limit: %v", err)
	}
}

func TestFits(t *testing.T) {
	zeros := func(shape ...int64) *graph.Tensor {
		x, err := graph.NewTensor(graph.Float32, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct {
		shapes []graph.Shape
		given  []*graph.Tensor
		want   string // of the last one; empty: it fits
	}{
		{[]graph.Shape{graph.ShapeOf(2, 3)}, []*graph.Tensor{zeros(2, 3)}, ""},
		{[]graph.Shape{graph.ShapeOf(2, 3)}, []*graph.Tensor{zeros(2, 4)}, "extent 1 is 3 here"},
		{[]graph.Shape{graph.ShapeOf(2, 3)}, []*graph.Tensor{zeros(6)}, "takes float32[2, 3], the file holds float32[6]"},
		{[]graph.Shape{graph.ShapeOf("n")}, []*graph.Tensor{graph.Ints([]int64{1})}, "takes float32, the file holds int64"},
		{[]graph.Shape{graph.ShapeOf("n", "n")}, []*graph.Tensor{zeros(2, 3)}, "extent 1 is 2 here"},
		{[]graph.Shape{{graph.Const(4).Mul(graph.Sym("n"))}, graph.ShapeOf("n")}, []*graph.Tensor{zeros(8), zeros(2)}, ""},
		{[]graph.Shape{{graph.Const(4).Mul(graph.Sym("n"))}, graph.ShapeOf("n")}, []*graph.Tensor{zeros(8), zeros(3)}, "extent 0 is 2 here"},
		{[]graph.Shape{{graph.Const(4).Mul(graph.Sym("n"))}}, []*graph.Tensor{zeros(7)}, "extent 0 is not 4*n"},
		{[]graph.Shape{nil}, []*graph.Tensor{zeros(7)}, ""},
	} {
		env := graph.Env{}
		var err error
		for i, s := range c.shapes {
			v := &graph.Value{Name: "x", Type: graph.Type{DType: graph.Float32, Shape: s, Space: graph.Host}}
			err = fits(env, v, c.given[i], "x.npy")
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, graph.ErrType)) {
			t.Errorf("%v: %v, want %q", c.shapes, err, c.want)
		}
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{"y": "y.npy", "/a/b": "_a_b.npy", "../x": ".._x.npy", `a\b`: "a_b.npy", "..": "...npy", "a:b": "a:b.npy"} {
		if got := fileName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestWriteStats: rates count the tokens that their time is of, and times of several
// answers are sums but for that to the first token.
func TestWriteStats(t *testing.T) {
	one := models.Stats{Decode: 10 * time.Millisecond, FirstToken: 40 * time.Millisecond, PromptTokens: 8, Prefill: 20 * time.Millisecond, Tokens: 5, Decoded: 4}
	for _, c := range []struct {
		stats   models.Stats
		answers int
		want    []string
	}{
		{one, 1, []string{"prefill +20.0 ms +8 prompt tokens +400.0", "decode +10.0 ms +5 tokens +400.0", "first token +40.0 ms"}},
		{sum(one, one), 2, []string{"decode +20.0 ms +10 tokens +400.0", "first token +40.0 ms +mean of 2 answers"}},
		{models.Stats{Decode: time.Millisecond, Tokens: 1}, 1, []string{"decode +1.0 ms +1 token"}},
		{models.Stats{}, 0, []string{"first token +0.0 ms"}},
	} {
		var b strings.Builder
		writeStats(&b, c.stats, c.answers)
		for _, want := range c.want {
			if !regexp.MustCompile(`(?m)^ *` + want + ` *$`).MatchString(b.String()) {
				t.Errorf("no %q in\n%s", want, b.String())
			}
		}
	}
}
