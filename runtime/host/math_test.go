package host

import (
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestMathCheck: a rule that decides for no node is named, with why.
func TestMathCheck(t *testing.T) {
	nodes := []*graph.Node{{Path: "vision.merger.gemm"}, {Path: "llm.layers.0.mlp.up"}, {Path: "head.matmul"}}
	for text, want := range map[string]string{
		"":                          "",
		"fast":                      "",
		"llm=int8act,head=exact":    "",
		"llm.layers.0=exact,fast":   "",
		"lm=fast":                   `"lm=fast" matches no node`,
		"llm=int8act,vison=fast":    `"vison=fast" matches no node`,
		"fast,llm=exact":            `rules before "llm=exact" took all that it matches`,
		"llm=fast,/mlp/=exact":      `rules before "/mlp/=exact" took all that it matches`,
		"llm.layers.0-3=fast,exact": "",
	} {
		m, err := ParseMath(text)
		if err != nil {
			t.Fatal(err)
		}
		err = m.Check(slices.Values(nodes))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
