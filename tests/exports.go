package tests

import (
	"archive/zip"
	"bytes"
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed testdata/exports/graphs.zip
var graphs embed.FS

// Graphs writes the graphs of one of the random model's exports into a folder, as
// each exporter lays them out: without weights, which are files of nothing. It
// returns the folder.
func Graphs(t testing.TB, export string) string {
	t.Helper()
	all := graphFiles(t)
	files, err := fs.Sub(all, export)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), export)
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".onnx") {
			return err
		}
		const most = 1 << 26 // of the weights of any of them
		f, err := os.Create(filepath.Join(filepath.Dir(path), "zeros.data"))
		if err != nil {
			return err
		}
		if err := f.Truncate(most); err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// GraphNames lists the exports that [Graphs] has.
func GraphNames(t testing.TB) []string {
	t.Helper()
	entries, err := fs.ReadDir(graphFiles(t), ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func graphFiles(t testing.TB) fs.FS {
	t.Helper()
	b, err := graphs.ReadFile("testdata/exports/graphs.zip")
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return z
}
