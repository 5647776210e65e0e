//go:build unix

package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// writing is a way to write, and a folder that it is tried in.
type writing struct {
	name  string
	write func(d *Disk, dir string) error
	old   map[string]string // what is there before
	want  map[string]string // and after
}

func writings() []writing {
	folder := func(replace bool) func(*Disk, string) error {
		return func(d *Disk, dir string) error {
			t, err := d.NewFolder(filepath.Join(dir, "folder"))
			if err != nil {
				return err
			}
			defer t.Discard()
			for _, name := range []string{"a", "b"} {
				f, err := t.New(name)
				if err != nil {
					return err
				}
				_, err = f.Write(bytes.Repeat([]byte(name), 100_000))
				if err := errors.Join(err, f.Finish()); err != nil {
					return err
				}
			}
			return t.Commit(replace)
		}
	}
	a, b := strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)
	file := func(d *Disk, dir string) error { return d.WriteFile(filepath.Join(dir, "file"), []byte(a)) }
	return []writing{
		{"a new file", file, nil, map[string]string{"file": a}},
		{"a file in an old one's place", file, map[string]string{"file": "old"}, map[string]string{"file": a}},
		{"a new folder", folder(false), nil, map[string]string{"folder/a": a, "folder/b": b}},
		{"a folder in an old one's place", folder(true), map[string]string{"folder/a": "old", "folder/c": "old"}, map[string]string{"folder/a": a, "folder/b": b}},
		{"folders on the way", func(d *Disk, dir string) error { return d.MakeAll(filepath.Join(dir, "x", "y")) }, nil, map[string]string{}},
	}
}

// lay makes a folder with files.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files returns all that a folder holds, and nil for none.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// Faults that a disk may have.
var faults = []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.ENAMETOOLONG}

// TestEveryCallFails has each call fail, alone or with all after it, by each fault:
// what was there stays, nothing else does, and the error names the target. When the
// folder alone could not be synced, the new file is there whole.
func TestEveryCallFails(t *testing.T) {
	for _, w := range writings() {
		for i, fault := range append(faults, faults[0]) {
			forever := i == len(faults)
			ended := false
			for n := 1; !ended; n++ {
				dir := lay(t, w.old)
				calls := 0
				last := Call{}
				err := w.write(&Disk{Before: func(c Call) error {
					if calls++; calls == n || forever && calls > n {
						last = c
						return fault
					}
					return nil
				}}, dir)
				ended = calls < n
				have := files(t, dir)
				where := fmt.Sprintf("%s: %v at call %d (%s of %s)", w.name, fault, n, last.Do, last.Path)
				renamed := last.Do == Sync && last.Path == dir
				switch {
				case ended && err != nil, !ended && !errors.Is(err, fault), !ended && !errors.Is(err, ErrWrite):
					t.Fatalf("%s: %v", where, err)
				case !ended && (!strings.Contains(err.Error(), filepath.Join(dir, "f")) && !strings.Contains(err.Error(), filepath.Join(dir, "x")) || strings.Contains(err.Error(), ".tmp")):
					t.Fatalf("%s does not name the target: %v", where, err)
				case (ended || renamed) && !same(have, w.want), !ended && !renamed && !same(have, w.old):
					t.Fatalf("%s: the folder holds %v", where, slices.Collect(keys(have)))
				}
			}
		}
	}
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestOrder: a file is synced after its last byte, a folder after its last file, and
// both before they get their names; then the folder around them is.
func TestOrder(t *testing.T) {
	for _, w := range writings()[:4] {
		dir := lay(t, w.old)
		dirty := map[string]bool{} // written, and not synced
		var renamed string
		durable := false
		err := w.write(&Disk{Before: func(c Call) error {
			parent := filepath.Dir(c.Path)
			switch c.Do {
			case Make, Create:
				if parent != dir { // its name stands in the temporary folder
					dirty[filepath.Join(dir, "."+filepath.Base(parent)+".tmp")] = true
				}
			case Write:
				dirty[c.Path] = true
			case Sync:
				delete(dirty, c.Path)
				if renamed != "" && c.Path == dir {
					durable = true
				}
			case Rename:
				if renamed = c.Path; len(dirty) > 0 {
					t.Errorf("%s: named before %v reached the disk", w.name, dirty)
				}
			case Close:
			}
			return nil
		}}, dir)
		if err != nil || renamed == "" || !durable {
			t.Errorf("%s: %v, renamed %q, the folder synced after that: %v", w.name, err, renamed, durable)
		}
	}
}

// TestCreate: what a file may replace, and what is written to as it is.
func TestCreate(t *testing.T) {
	dir := lay(t, map[string]string{"old": "old", "linked": "old", ".stale.tmp": "half a fi", "shared": "x"})
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Symlink("linked", path("link")), os.Symlink("old", path(".evil.tmp")), os.Link(path("shared"), path(".twin.tmp")),
		syscall.Mkfifo(path("pipe"), 0o600), os.Mkdir(path("folder"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	piped := make(chan string)
	go func() {
		text, err := os.ReadFile(path("pipe"))
		piped <- fmt.Sprint(string(text), err)
	}()
	for _, c := range []struct {
		name, refused string
	}{{"old", ""}, {"link", ""}, {"stale", ""}, {"pipe", ""}, {"evil", "is in the way"}, {"twin", "is in the way"}, {"folder", "is a directory"}, {"none/file", "no such file"}, {strings.Repeat("n", 300), "name too long"}} {
		err := (*Disk)(nil).WriteFile(path(c.name), []byte("new"))
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !errors.Is(err, ErrWrite) || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
	}
	if got := <-piped; got != "new<nil>" {
		t.Errorf("through the pipe came %q", got)
	}
	if to, err := os.Readlink(path("link")); to != "linked" || err != nil {
		t.Errorf("the link is gone: %q %v", to, err)
	}
	os.Remove(path("pipe"))
	want := map[string]string{"old": "new", "linked": "new", "link": "new", "stale": "new", "shared": "x", ".evil.tmp": "new", ".twin.tmp": "x"}
	if got := files(t, dir); !same(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestWritersOfOneFile: many write one file at once, and a reader finds that of one of
// them, whole.
func TestWritersOfOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	texts := map[string]bool{}
	for i := range 4 {
		texts[strings.Repeat(fmt.Sprint(i), 100_000)] = true
	}
	var writers sync.WaitGroup
	for text := range texts {
		writers.Go(func() {
			for range 5 {
				if err := (*Disk)(nil).WriteFile(path, []byte(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if text, err := os.ReadFile(path); err == nil && !texts[string(text)] {
			t.Fatalf("a reader finds %d bytes of nobody's", len(text))
		}
	}
	if got := files(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("left behind: %v", slices.Collect(keys(got)))
	}
}
