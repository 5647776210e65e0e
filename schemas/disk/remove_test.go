//go:build unix

package disk

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// hurried is a context that ends after it was asked so often.
type hurried struct {
	context.Context
	asked int
}

func (h *hurried) Err() error {
	if h.asked--; h.asked < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// large makes a file of a folder, which takes no room on disk.
func large(t *testing.T, f *Folder, pieces int64) {
	t.Helper()
	w, err := f.New("large")
	if err == nil {
		err = w.f.Truncate(pieces * piece)
	}
	if err == nil {
		err = w.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAbandonInTime: what there is no time to remove is named with what is left of
// it, nobody goes on removing it, and the next writer of its target does.
func TestAbandonInTime(t *testing.T) {
	for _, c := range []struct{ pieces, asked, left int64 }{
		{10, 0, 10}, {10, 3, 7}, {10, 9, 1}, {10, 10, 0}, {10, 11, 0}, {10, 99, 0},
	} {
		target := filepath.Join(t.TempDir(), "folder")
		d := &Disk{}
		f, err := d.NewFolder(target)
		if err != nil {
			t.Fatal(err)
		}
		large(t, f, c.pieces)
		left := d.Abandon(&hurried{t.Context(), int(c.asked)})
		f.Discard()
		path := beside(target)
		switch {
		case c.asked > c.pieces: // and once more for the folder
			if len(left) > 0 || exists(path) {
				t.Errorf("%+v: %v is left", c, left)
			}
		case len(left) != 1 || left[0] != Left{path, c.left * piece} || size(path) != c.left*piece:
			t.Errorf("%+v: %v is left, and %d bytes are there", c, left, size(path))
		}
		f, err = (*Disk)(nil).NewFolder(target)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if n := size(path); n != 0 {
			t.Errorf("%+v: the next writer left %d bytes", c, n)
		}
		f.Discard()
	}
}

// TestRemoveInPieces: a large file goes in pieces, so that Abandon is waited for at most
// as long as one takes; but what others may read goes at once.
func TestRemoveInPieces(t *testing.T) {
	const pieces = 4
	path := filepath.Join(t.TempDir(), "large")
	other := path + ".other"
	for _, c := range []struct {
		name  string
		named bool
		do    func() (over func() error, err error)
		want  int // calls of cut
	}{
		{"a temporary file", false, nil, pieces},
		{"a temporary file that is being written", false, func() (func() error, error) { return open(path) }, pieces},
		{"a file with another name", false, func() (func() error, error) {
			return func() error { return os.Remove(other) }, os.Link(path, other)
		}, 1},
		{"a replaced file", true, nil, map[bool]int{true: pieces, false: 1}[leases]},
		{"a replaced file that is read", true, func() (func() error, error) { return open(path) }, 1},
	} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, pieces*piece); err != nil {
			t.Fatal(err)
		}
		over := func() error { return nil }
		if c.do != nil {
			var err error
			if over, err = c.do(); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for gone := false; !gone; n++ {
			var err error
			if gone, err = (temporary{path, c.named}).cut(path); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if n != c.want || exists(path) {
			t.Errorf("%s: %d pieces, want %d", c.name, n, c.want)
		}
		if info, err := os.Stat(other); err == nil && info.Size() != pieces*piece {
			t.Errorf("%s: %d bytes are left of it", c.name, info.Size())
		}
		if err := over(); err != nil {
			t.Fatal(err)
		}
	}
}

func open(path string) (over func() error, err error) {
	f, err := os.Open(path)
	return f.Close, err
}
