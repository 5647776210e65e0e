package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
)

// TestUnheeded: flags that say nothing to a model are refused by their names, and
// taken by one that they say something to.
func TestUnheeded(t *testing.T) {
	decode := models.Phase{Name: "extend", Graph: &graph.Graph{States: []graph.State{{}}}}
	encode := models.Phase{Name: "encode", Graph: &graph.Graph{}}
	model := struct{ models.Model }{}
	text := &mnnconv.Source{Path: "text", Model: model, Phases: []models.Phase{decode}}
	sees := &mnnconv.Source{Path: "sees", Model: model, Phases: []models.Phase{encode, decode}}
	wishes := &mnnconv.Source{Path: "wishes", Model: model, Phases: []models.Phase{encode, decode}, Info: models.Info{Wishes: []models.Wish{{}}}}
	one := &mnnconv.Source{Path: "one", Phases: []models.Phase{{Name: "graph", Graph: &graph.Graph{}}}}
	for _, c := range []struct {
		source *mnnconv.Source
		args   string
		place  string
		want   string // of the one error
	}{
		{text, "--max-pixels 4000", "", "--max-pixels does nothing with text, which sees no pictures"},
		{text, "--max-images 4", "", "--max-images does nothing with text, which sees no pictures"},
		{text, "--context 64 --state fp32", "", ""},
		{sees, "--max-pixels 4000 --max-images 4 --context 64 --state fp32", "", ""},
		{one, "--context 64", "", "--context does nothing with one, which is one graph"},
		{one, "--max-images 4", "", "--max-images does nothing with one, which is one graph"},
		{one, "--state fp32", "", "--state does nothing with one, which keeps no keys and values"},
		{sees, "--fallback cpu", "", "--fallback does nothing without --place RULES"},
		{sees, "--fallback cpu", "sim:0", ""},
		{wishes, "--fallback cpu", "", ""},
	} {
		var fallback, state string
		var pixels, images, context int
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.StringVar(&fallback, "fallback", "", "")
		flags.StringVar(&state, "state", "", "")
		flags.IntVar(&pixels, "max-pixels", 0, "")
		flags.IntVar(&images, "max-images", 0, "")
		flags.IntVar(&context, "context", 0, "")
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		err := (&modelOptions{flags: flags}).unheeded(c.source, mnnconv.Options{Place: c.place})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s %s: %v, want %q", c.source.Path, c.args, err, c.want)
		}
	}
}
