package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx" // registers the models
	"gorgonia.org/tensor"
)

func TestExample(t *testing.T) {
	dir := t.TempDir()
	model, input := filepath.Join(dir, "relu.onnx"), filepath.Join(dir, "x.npy")
	tc := testbackend.GetOpTypeTests("Relu")[0]()
	if err := os.WriteFile(model, tc.ModelB, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(input)
	if err != nil {
		t.Fatal(err)
	}
	if err := tc.Input[0].(*tensor.Dense).WriteNpy(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run([]string{model, input}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "output 0: (3, 4, 5)") {
		t.Errorf("printed %q", out.String())
	}
	if err := run([]string{filepath.Join(dir, "none.onnx")}, &out); err == nil {
		t.Error("a model that is not there runs")
	}
}
