//go:build accept || onnxruntime

package tests

import (
	"path/filepath"
	"testing"

	"mnnconv"
	"mnnconv/runtime/compare/onnxruntime"
)

// TestAcceptOnnxruntimeReference compares cut models with onnxruntime's own results,
// in its library as PyPI has it.
func TestAcceptOnnxruntimeReference(t *testing.T) {
	python := pythonWith(t, "onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6")
	found, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(python)), "lib", "python3*", "site-packages", "onnxruntime", "capi", "libonnxruntime.so.*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("onnxruntime's library: %v (%v)", found, err)
	}
	all := Conversations(t)
	for _, export := range []string{"tjs-fp16", "tjs-q4f16", "olive-cpu-int4"} {
		r, err := onnxruntime.Open(found[0], mnnconv.EncodeGraph)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		c := compared(t, Export(t, export), broken("vision=sim:0,llm=sim:1", fault{}), mnnconv.CompareOptions{Reference: r, Name: "onnxruntime"})
		if err := ask(t, c, all)(); err != nil {
			t.Fatal(err)
		}
		report := c.Report()
		Row(t, report.Verdict == "same", "compare --reference onnxruntime, "+export, "same", "%s: %s", report.Verdict, report.Sentence)
	}
}
