package everywhere

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/models/tinyvl"
	"mnnconv/passes/quantize"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/op"
)

// The operators' cases pass on the cpu and on a simulated device.
func TestConform(t *testing.T) {
	table := op.All()
	host := &cpu.Backend{Table: table, Threads: 1}
	for _, b := range []runtime.Backend{host, &sim.Backend{Table: table}} {
		p, err := b.Profile(0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := runtime.Conform(t.Context(), table, b, p, host)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Failed {
			t.Errorf("%s: %v", b.Name(), err)
		}
		if c.Passed < 360 {
			t.Errorf("%s: %d cases passed", b.Name(), c.Passed)
		}
	}
}

// What a conversion writes of weights, and the errors that it measures, are the same
// bytes wherever it runs. The hashes are of amd64, and follow the bundled model and the
// methods of quantisation.
func TestConversionsAreTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tinyvl")
	if err := tinyvl.Extract(&disk.Disk{}, dir); err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string][2]string{
		"int4": {"fad04c18b2821f4a", "08858c046e49238c"},
		"llm=int4:32:asym:refine,vision=int8:64:refine,embed=fp16,head=bf16": {"a21c9ab68b707135", "f9cbe2257296e752"},
	} {
		path := convert(t, dir, spec)
		for i, name := range []string{"weights.bin", mnnconv.QuantizeFile} {
			data, err := os.ReadFile(filepath.Join(path, name))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(data)
			if got := hex.EncodeToString(sum[:8]); got != want[i] {
				t.Errorf("--quantize %s: %s has the hash %s, want %s", spec, name, got, want[i])
			}
		}
	}
}

// convert writes a package of the model in dir, and returns its path.
func convert(t *testing.T, dir, spec string) string {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Backends: []runtime.Backend{&cpu.Backend{Table: table}}}
	src, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	s, err := quantize.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	done, err := mnnconv.Quantize(t.Context(), src, quantize.Options{Spec: s, Table: table})
	if err != nil {
		t.Fatal(err)
	}
	plans, err := mnnconv.Plan(src, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.mnnc")
	if err := mnnconv.Convert(t.Context(), src, plans, path, mnnconv.ConvertOptions{Tool: "mnnconv test", Quantized: done}); err != nil {
		t.Fatal(err)
	}
	return path
}
