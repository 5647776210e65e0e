//go:build accept

package onnx

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestAcceptModels loads every exporter's model under $SHARED, and saves and
// loads it again in both forms.
func TestAcceptModels(t *testing.T) {
	shared := os.Getenv("SHARED")
	if shared == "" {
		t.Fatal("SHARED must name the folder of the exporters' models")
	}
	count, whole := 0, 0
	for _, dir := range []string{"tinyvl", "exports"} {
		err := filepath.WalkDir(filepath.Join(shared, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".onnx") {
				return err
			}
			count++
			name, err := filepath.Rel(shared, path)
			if err != nil {
				return err
			}
			if t.Run(name, func(t *testing.T) { checkModel(t, path) }) {
				whole++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	verdict := "yes"
	if whole != count || count < 60 {
		verdict = "no"
		t.Fail()
	}
	t.Logf("accept: | ONNX files of the exporters, loaded, saved in both forms and loaded again | all the same, at least 60 files | %d of %d | %s |", whole, count, verdict)
}

// checkModel saves and loads a model in both forms.
func checkModel(t *testing.T, path string) {
	m, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := graph.Verify(m.Graph); err != nil {
		t.Error(err)
	}
	for _, o := range []SaveOptions{{}, {External: "weights.bin"}} {
		roundTrip(t, m, o)
	}
}
