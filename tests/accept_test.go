//go:build accept

package tests

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/models/tinyvl"
)

// TestAcceptFixtures compares the reference data kept here, byte by byte, with
// what it was packed from.
func TestAcceptFixtures(t *testing.T) {
	source := os.DirFS(filepath.Join(os.Getenv("SHARED"), "tinyvl"))
	count := 0
	same := func(packed fs.FS, original string) {
		count += compare(t, packed, sub(source, original))
	}
	same(sub(data, "golden"), "golden")
	same(tinyvl.Model(), "exports/tjs-fp16")
	for _, name := range []string{"tjs-q4f16", "olive-cpu-int4"} {
		same(archive(t, name+".zip"), "exports/"+name)
	}
	cases, err := fs.Glob(data, "cases/*.npz")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		same(archive(t, c), "cases/"+strings.TrimSuffix(path.Base(c), ".npz"))
	}
	ok := "yes"
	if t.Failed() {
		ok = "no"
	}
	t.Logf("accept: | reference data kept in the repository | every file as in the full data | %d files | %s |", count, ok)
}

// compare checks that each file of packed is in original, and returns how many
// are.
func compare(t *testing.T, packed, original fs.FS) (count int) {
	t.Helper()
	err := fs.WalkDir(packed, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		a, err := fs.ReadFile(packed, name)
		if err != nil {
			return err
		}
		b, err := fs.ReadFile(original, name)
		if err != nil {
			return err
		}
		if bytes.Equal(a, b) {
			count++
		} else {
			t.Errorf("%s differs", name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if count == 0 {
		t.Error("nothing was compared")
	}
	return count
}
