package pack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzPlan reads any bytes as a plan.json: an error of this package, or a plan.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(`{"schema_version": 1, "tool": "mnnconv devel"}`))
	f.Add([]byte(`{"schema_version": 1, "tool": "mnnconv devel", "phases": [{"name": "graph", "partitions": [{"index": -1}], "copies": null}]}`))
	f.Add([]byte(`{"schema_version": 99, "tool": "mnnconv 9"}`))
	f.Add([]byte(`[]`))
	file := filepath.Join(f.TempDir(), "plan.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := readPlan(file)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v and %v", p, err)
		}
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Fatal(err)
		}
	})
}
