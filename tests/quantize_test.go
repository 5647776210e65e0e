package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/passes/quantize"
)

// quantized converts a model folder with its weights in fewer bits, and returns the
// package's path.
func quantized(t testing.TB, dir, spec string, o mnnconv.Options, calibrate func(models.Session) error) string {
	t.Helper()
	s, err := quantize.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	o.Quantize = s
	src, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	q := quantize.Options{Spec: s, Table: o.Load.Table}
	if calibrate != nil {
		q.Calibrate = mnnconv.Calibrator(dir, o, calibrate)
	}
	done, err := mnnconv.Quantize(t.Context(), src, q)
	if err != nil {
		t.Fatal(err)
	}
	plans, err := mnnconv.Plan(src, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.mnnc")
	if err := mnnconv.Convert(t.Context(), src, plans, path, mnnconv.ConvertOptions{Tool: "mnnconv test", Rules: o.Place, Quantized: done}); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestQuantized answers the reference conversations from packages of fewer bits. In
// 8 bits and more all answers are the reference's; in 4 bits those of most.
func TestQuantized(t *testing.T) {
	all := Conversations(t)
	dir := Export(t, "tjs-fp16")
	for _, c := range []struct {
		spec      string
		calibrate bool
		bytes     int64 // of the weights' file, at most
		right     int   // answers at least
	}{
		{"int8", false, 5 << 20, len(all)},
		{"llm=int4:32,vision=int8,head=int8,embed=int8", false, 4 << 20, len(all) - 1},
		{"int4:scales8", false, 3 << 20, len(all) - 1},
		{"int8:scales8:refine", false, 5 << 20, len(all)},
		{"int4:asym:refine", false, 3 << 20, len(all) - 1},
		{"int4", true, 3 << 20, len(all) - 1},
	} {
		t.Run(c.spec, func(t *testing.T) {
			var ask func(models.Session) error
			if c.calibrate {
				ask = func(s models.Session) error {
					for _, q := range all[:2] {
						if _, err := s.Ask(context.Background(), q.Asking(t), greedy); err != nil {
							return err
						}
					}
					return nil
				}
			}
			path := quantized(t, dir, c.spec, options(""), ask)
			if info, err := os.Stat(filepath.Join(path, "weights.bin")); err != nil || info.Size() > c.bytes {
				t.Errorf("weights.bin: %v, %v; want up to %d bytes", info.Size(), err, c.bytes)
			}
			var report quantize.Report
			text, err := os.ReadFile(filepath.Join(path, mnnconv.QuantizeFile))
			if err == nil {
				err = json.Unmarshal(text, &report)
			}
			if err != nil {
				t.Fatal(err)
			}
			validReport(t, text)
			if len(report.Layers) != 52 || len(report.Kept) != 0 || report.Bytes*3 > report.BytesBefore*2 {
				t.Errorf("%d layers and %d kept, %d bytes of %d", len(report.Layers), len(report.Kept), report.Bytes, report.BytesBefore)
			}
			for _, l := range report.Layers {
				if l.SharedWith == "" && !(l.Error > 0 && l.Error < 0.25) {
					t.Errorf("%s: error %v", l.Path, l.Error)
				}
			}
			s := chat(t, path, options(""))
			right := 0
			for _, q := range all {
				a, err := s.Ask(t.Context(), q.Asking(t), greedy)
				if err != nil {
					t.Fatalf("%s: %v", q.Name, err)
				}
				if a.Text == q.Text {
					right++
				}
			}
			if right < c.right {
				t.Errorf("%d of %d answers are the reference's, want %d", right, len(all), c.right)
			}
		})
	}
}

// validReport compares a report with its schema.
func validReport(t *testing.T, text []byte) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../schemas/json/quantize.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(doc)
	}
	if err != nil {
		t.Error(err)
	}
}
