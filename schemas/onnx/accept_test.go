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
	count := 0
	for _, dir := range []string{"tinyvl", "exports"} {
		err := filepath.WalkDir(filepath.Join(shared, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".onnx") {
				return err
			}
			count++
			m, err := Load(path, Options{})
			if err != nil {
				t.Error(err)
				return nil
			}
			defer m.Close()
			if err := graph.Verify(m.Graph); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, o := range []SaveOptions{{}, {External: "weights.bin"}} {
				roundTrip(t, m, o)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count < 60 {
		t.Errorf("found %d models, want at least 60", count)
	}
}
