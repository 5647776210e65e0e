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

// temp is a temporary folder beside the target, locked while its owner lives.
type temp struct {
	dir  string
	lock *os.File
}

// newTemp makes a temporary folder for the target and removes those that dead
// owners left.
func newTemp(target string) (*temp, error) {
	parent, base := filepath.Split(filepath.Clean(target))
	if parent == "" {
		parent = "."
	}
	prefix := "." + base + ".tmp-"
	if locks {
		if err := removeStale(parent, prefix); err != nil {
			return nil, failed(err)
		}
	}
	for {
		dir, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, failed(err)
		}
		t := &temp{dir: dir}
		if t.lock, err = lock(dir); err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err == nil {
			return t, nil
		}
		t.discard()
		if !errors.Is(err, fs.ErrNotExist) { // another process took it for stale before it was locked
			return nil, failed(err)
		}
	}
}

// discard removes the folder, unless it was renamed.
func (t *temp) discard() {
	if t.dir != "" {
		os.RemoveAll(t.dir)
	}
	if t.lock != nil {
		t.lock.Close()
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
		err = exchange(t.dir, target) // the old one goes with discard
	} else if err = os.Rename(t.dir, target); err == nil {
		t.dir = ""
	}
	switch {
	case errors.Is(err, fs.ErrExist): // since it was looked for
		return fmt.Errorf("%s: %w: give --force to replace it", target, ErrExists)
	case err != nil:
		return fmt.Errorf("%s: %w", target, failed(err))
	}
	return failed(syncDir(filepath.Dir(filepath.Clean(target))))
}

// removeStale removes temporary folders whose owner is gone.
func removeStale(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || len(e.Name()) <= len(prefix) || e.Name()[:len(prefix)] != prefix {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		if f, err := lock(dir); err == nil {
			os.RemoveAll(dir)
			f.Close()
		}
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
