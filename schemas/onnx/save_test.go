package onnx

import (
	"path/filepath"
	"testing"
)

// roundTrip saves m and fails unless it loads as the same.
func roundTrip(t *testing.T, m *Model, o SaveOptions) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := Save(path, m, o); err != nil {
		t.Error(err)
		return
	}
	got, err := Load(path, Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer got.Close()
	if s := differ(m.Graph, got.Graph); s != "" {
		t.Errorf("%s, saved with %+v: %s", m.Graph.Name, o, s)
	}
}
