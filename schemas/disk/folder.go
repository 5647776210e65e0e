package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a folder on its way to its name. Commit gives it the name; Discard,
// which must be called in either case, removes what is left over.
type Folder struct {
	disk   *Disk
	target string
	dir    string     // empty once there is nothing to remove
	old    bool       // dir is the folder that was replaced
	locks  []*os.File // of the new folder, and of the one that it replaces
}

// NewFolder makes the temporary folder of a target, or empties that of a dead
// owner. ErrBusy: another program writes the target.
func (d *Disk) NewFolder(target string) (*Folder, error) {
	target = filepath.Clean(target)
	dir := beside(target)
	for {
		t := &Folder{disk: d, target: target}
		err := d.before(Make, target)
		if err == nil {
			err = d.step(func() error { return t.take(dir) })
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && exists(filepath.Dir(dir)): // its owner was faster
			continue
		case errors.Is(err, errLocked):
			return nil, fmt.Errorf("%s: %w: if none is, remove %s", target, ErrBusy, dir)
		case err != nil:
			return nil, failed(target, err)
		}
		if err := d.empty(dir); err != nil {
			d.end(t)
			t.unlock()
			return nil, failed(target, err)
		}
		return t, nil
	}
}

// take makes and locks the temporary folder, or takes that of a dead owner.
// errLocked: its owner lives, or might; fs.ErrNotExist: it got its name meanwhile.
func (t *Folder) take(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err != nil && !locks {
		return errLocked
	}
	f, err := lock(dir, false)
	if err != nil {
		return err
	}
	if f != nil && !holds(dir, f) { // it got its name between opening and locking
		return errors.Join(fs.ErrNotExist, f.Close())
	}
	t.dir, t.locks = dir, []*os.File{f}
	t.disk.begin(t, temporary{path: dir})
	return nil
}

// empty removes what a dead owner left: its own, or what it had replaced.
func (d *Disk) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := d.remove(temporary{path: filepath.Join(dir, e.Name()), named: true}); err != nil {
			return err
		}
	}
	return nil
}

// Path is where the folder's files are until it has its name.
func (t *Folder) Path() string { return t.dir }

// New makes a file of the folder, which must not be there. Finish it.
func (t *Folder) New(name string) (*File, error) {
	target := filepath.Join(t.target, name)
	err := t.disk.before(Create, target)
	var w *os.File
	if err == nil {
		err = t.disk.step(func() error {
			w, err = os.OpenFile(filepath.Join(t.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			return err
		})
	}
	if err != nil {
		return nil, failed(target, err)
	}
	return &File{disk: t.disk, f: w, target: target}, nil
}

// Commit gives the folder its name, at once: whoever reads finds the old folder or
// the new one. Without replace, a folder that is there is fs.ErrExist.
func (t *Folder) Commit(replace bool) error {
	err := t.disk.syncDir(t.dir)
	if err == nil {
		err = t.disk.before(Rename, t.target)
	}
	if err != nil {
		return failed(t.target, err)
	}
	err = t.disk.step(func() error { return t.rename(replace) })
	switch {
	case errors.Is(err, errLocked): // the one that wrote the old folder is not quite done
		return fmt.Errorf("%s: %w", t.target, ErrBusy)
	case errors.Is(err, fs.ErrExist): // since it was looked for
		return fmt.Errorf("%s: %w", t.target, fs.ErrExist)
	case err == nil:
		err = t.disk.syncDir(filepath.Dir(t.target))
	}
	return failed(t.target, err)
}

// rename gives the folder its name. With replace, the old folder gets the temporary
// name, by which nobody may take it for stale, and goes with Discard.
func (t *Folder) rename(replace bool) error {
	if !replace || !exists(t.target) {
		err := os.Rename(t.dir, t.target)
		if err == nil {
			t.dir = ""
		}
		return err
	}
	f, err := lock(t.target, false)
	if err != nil {
		return err
	}
	t.locks = append(t.locks, f)
	if err := exchange(t.dir, t.target); err != nil {
		return err
	}
	t.old = true
	t.disk.begin(t, temporary{path: t.dir, named: true})
	return nil
}

// Discard removes the temporary folder, or the one that was replaced.
func (t *Folder) Discard() {
	if t.dir != "" {
		_ = t.disk.remove(temporary{path: t.dir, named: t.old})
		t.dir = ""
	}
	t.disk.end(t)
	t.unlock()
}

func (t *Folder) unlock() {
	for _, f := range t.locks {
		_ = unlock(f)
	}
	t.locks = nil
}
