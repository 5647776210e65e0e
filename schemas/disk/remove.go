package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// piece is how many bytes of a file are freed by one call of the system. Nothing ends a
// process meanwhile, and gigabytes may take seconds: ext4 with discard and no journal
// tells the device of each extent, and waits until that has forgotten it.
const piece = 64 << 20

// temporary is a file or folder that has a temporary name.
type temporary struct {
	path  string
	named bool // it may have had another name before, and be read by that
}

// remove removes it piece by piece, unless the disk is abandoned, which does the same.
func (d *Disk) remove(t temporary) error {
	for gone := false; !gone; {
		err := d.step(func() (err error) {
			gone, err = t.cut(t.path)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cut frees a piece of a file, or of one that is in a folder, and reports whether
// nothing is left at path.
func (t temporary) cut(path string) (gone bool, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		entries, _ := os.ReadDir(path) // what cannot be read cannot be removed, and that says why
		for _, e := range entries {
			if _, err = t.cut(filepath.Join(path, e.Name())); err == nil {
				return false, nil
			}
		}
		if err != nil {
			return false, err
		}
	}
	if info.Mode().IsRegular() && info.Size() > piece && t.shorten(path, info.Size()-piece) {
		return false, nil
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err == nil, err
}

// shorten cuts a file short, and reports whether it could. It leaves alone what others
// may see change: a file that has a second name, or may be open elsewhere.
func (t temporary) shorten(path string, size int64) bool {
	f, err := openOwn(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return (!t.named || alone(f)) && f.Truncate(size) == nil
}

// size is how many bytes the files below path have.
func size(path string) (n int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // what is there counts
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
