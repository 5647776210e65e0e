//go:build unix

package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mnnconv/schemas/disk"
)

// fixtureDir is a folder with the scripts' fixtures.
func fixtureDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := fixtures(dir, bundled); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tree returns the bytes of all files in a folder, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDiskFaults has every call that writes fail, for each command that writes, by
// each fault in turn: exit code 8, a message that names what was to be written, the
// old output untouched, and nothing half done beside it.
func TestDiskFaults(t *testing.T) {
	in := fixtureDir(t)
	at := func(name string) string { return filepath.Join(in, name) }
	graph := []string{at("sum.onnx"), "--input", "x=" + at("x.npy"), "--input", "y=" + at("y.npy")}
	faults := []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.ENAMETOOLONG}
	next := map[error]string{syscall.ENOSPC: "; make room, or write elsewhere", syscall.EDQUOT: "; make room, or write elsewhere", syscall.EROFS: "; write elsewhere", syscall.EACCES: "; check who may write there, or write elsewhere"}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"convert", []string{"convert", at("sum.onnx"), "--place", "sim:0", "--force", "-o", "OUT/model.mnnc"}},
		{"report", append([]string{"report", "-o", "OUT/report.html"}, graph...)},
		{"trace", append([]string{"run", "--trace", "OUT/trace.json"}, graph...)},
		{"drawings", []string{"inspect", at("sum.onnx"), "--dot", "OUT/a.dot", "--svg", "OUT/a.svg"}},
		{"arrays", append([]string{"run", "--output-dir", "OUT/arrays"}, graph...)},
		{"record", append([]string{"compare", "--record", "OUT/record"}, graph...)},
		{"preprocess", []string{"preprocess", at("picture.png"), "-o", "OUT/arrays"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			args := slices.Clone(c.args)
			for i := range args {
				args[i] = strings.Replace(args[i], "OUT", out, 1)
			}
			attempt := func(d *disk.Disk) (int, string) {
				var errs bytes.Buffer
				return (&app{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &errs, disk: d}).run(args), errs.String()
			}
			if code, said := attempt(nil); code != 0 {
				t.Fatal(said)
			}
			whole := tree(t, out)
			for n := 1; ; n++ {
				fault := faults[n%len(faults)]
				calls := 0
				var last disk.Call
				code, said := attempt(&disk.Disk{Before: func(k disk.Call) error {
					if calls++; calls == n {
						last = k
						return fault
					}
					return nil
				}})
				have := tree(t, out)
				for name, text := range have {
					if text != whole[name] && !written(name, text) {
						t.Errorf("call %d (%s of %s): %s is not what it was, or should not be there", n, last.Do, last.Path, name)
					}
				}
				if len(have) != len(whole) {
					t.Errorf("call %d: %d files, %d were there", n, len(have), len(whole))
				}
				if calls < n {
					if code != 0 || n < 4 {
						t.Errorf("after %d calls: exit %d, %s", calls, code, said)
					}
					return
				}
				if code != 8 || !strings.Contains(said, out) || !strings.Contains(said, fault.Error()) || !strings.HasSuffix(said, next[fault]+"\n") || strings.Contains(said, ".tmp") {
					t.Fatalf("%v at call %d (%s of %s): exit %d, it says %q", fault, n, last.Do, last.Path, code, said)
				}
			}
		})
	}
}

// written tells whether a file, whose bytes depend on the clock, is whole.
func written(name, text string) bool {
	switch filepath.Ext(name) {
	case ".html":
		return strings.HasSuffix(strings.TrimSpace(text), "</html>")
	case ".json":
		return strings.HasSuffix(strings.TrimSpace(text), "}") || strings.HasSuffix(strings.TrimSpace(text), "]")
	}
	return false
}
