package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// replaceable returns an error unless dir may be written: it is not there, or it
// is a package and force is given.
func replaceable(dir string, force bool) error {
	_, err := os.Lstat(dir)
	_, planErr := readPlan(filepath.Join(dir, planFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case planErr != nil && !errors.Is(planErr, ErrNewer):
		return fmt.Errorf("%s: %w and is no package: choose another name, or remove it yourself", dir, ErrExists)
	case !force:
		return fmt.Errorf("%s: %w: give --force to replace it", dir, ErrExists)
	}
	return nil
}

// temp is the temporary folder beside a target. It has one name, so that two
// writers of a target meet there, and is locked while its owner lives.
type temp struct {
	dir   string
	locks []*os.File // of the new package, and of the one that it replaces
}

// newTemp makes the temporary folder of a target, or empties that of a dead owner.
func newTemp(target string) (*temp, error) {
	parent, base := filepath.Split(filepath.Clean(target))
	dir := filepath.Join(parent, "."+base+".tmp")
	busy := fmt.Errorf("%s: %w: if none is, remove %s", target, ErrBusy, dir)
	for {
		err := os.Mkdir(dir, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, failed(err)
		}
		if err != nil && !locks {
			return nil, busy
		}
		f, err := lock(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist): // its owner was faster
			continue
		case errors.Is(err, errLocked):
			return nil, busy
		case err != nil:
			return nil, failed(err)
		}
		t := &temp{dir: dir, locks: []*os.File{f}}
		if !holds(dir, f) { // it got its name between opening and locking
			t.unlock()
			continue
		}
		if err := empty(dir); err != nil {
			t.unlock()
			return nil, failed(err)
		}
		return t, nil
	}
}

// holds reports whether the locked folder is still the one at a path.
func holds(dir string, f *os.File) bool {
	if f == nil {
		return true
	}
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(dir)
	return err == nil && os.SameFile(locked, there)
}

// empty removes what a dead owner left.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// discard removes the folder, unless it was renamed.
func (t *temp) discard() {
	if t.dir != "" {
		os.RemoveAll(t.dir)
	}
	t.unlock()
}

func (t *temp) unlock() {
	for _, f := range t.locks {
		if f != nil {
			f.Close()
		}
	}
}

// rename gives the folder its name, at once: whoever reads finds the old package
// or the new one.
func (t *temp) rename(target string, force bool) error {
	if err := syncDir(t.dir); err != nil {
		return failed(err)
	}
	err := replaceable(target, force)
	if err != nil {
		return err
	}
	if _, err = os.Lstat(target); err == nil {
		// The old package gets the temporary name: nobody may take it for stale.
		var f *os.File
		if f, err = lock(target); err == nil {
			t.locks = append(t.locks, f)
			err = exchange(t.dir, target) // the old one goes with discard
		}
	} else if err = os.Rename(t.dir, target); err == nil {
		t.dir = ""
	}
	switch {
	case errors.Is(err, errLocked): // the one that wrote the old package is not quite done
		return fmt.Errorf("%s: %w", target, ErrBusy)
	case errors.Is(err, fs.ErrExist): // since it was looked for
		return fmt.Errorf("%s: %w: give --force to replace it", target, ErrExists)
	case err != nil:
		return fmt.Errorf("%s: %w", target, failed(err))
	}
	return failed(syncDir(filepath.Dir(filepath.Clean(target))))
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
