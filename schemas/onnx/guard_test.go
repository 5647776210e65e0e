package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestShortened cuts the data file while it is mapped (fault F19): reading it
// under Guard is an error that names it.
func TestShortened(t *testing.T) {
	dir := t.TempDir()
	data := write(t, filepath.Join(dir, "w.bin"), make([]byte, 1<<16))
	path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t, []string{"location", "w.bin", "offset", "65000"}))
	m, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := m.Graph.Nodes[0].Inputs[1].Const.Data
	if err := os.Truncate(data, 0); err != nil {
		t.Fatal(err)
	}
	sum := byte(0)
	err = m.Guard(func() error {
		for _, b := range w {
			sum += b
		}
		return nil
	})
	refuses(t, err, ErrMalformed, "w.bin", "byte 65000", "shortened")
	if _, err := marshal(m); err == nil {
		t.Error("Write read a file that is gone")
	}
	out := filepath.Join(dir, "saved", "m.onnx")
	if err := os.Mkdir(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, o := range []SaveOptions{{}, {External: "w", Threshold: 1}} {
		if err := Save(out, m, o); err == nil {
			t.Error("Save read a file that is gone")
		}
		if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 0 {
			t.Errorf("Save left %v", left)
		}
	}
}

// TestShortenedWhileLoading cuts the model itself again and again while it is
// loaded.
func TestShortenedWhileLoading(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "embed_tokens_q4f16.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "m.onnx"), whole)
	stop := make(chan bool)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := errors.Join(os.Truncate(path, 0), os.WriteFile(path, whole, 0o644)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for range 300 {
		if m, err := Load(path, Options{}); err == nil {
			m.Close()
		}
	}
	close(stop)
	done.Wait()
}

// TestGuardPasses lets errors and other panics through.
func TestGuardPasses(t *testing.T) {
	m := &Model{}
	want := errors.New("mine")
	if err := m.Guard(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	for name, f := range map[string]func(){
		"a panic":       func() { panic("mine") },
		"a nil pointer": func() { m.Graph.Name = "" },
	} {
		func() {
			defer func() { _ = recover() }()
			t.Errorf("%s became error %v", name, m.Guard(func() error { f(); return nil }))
		}()
	}
}
