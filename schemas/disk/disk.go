// Package disk writes files and folders that appear whole or not at all: under a
// temporary name beside their own first, synced, renamed, and their folder synced.
//
// Whatever this module writes for its users goes through here. What flows in:
// paths and bytes. What flows out: the new file, or the old one and an error that
// is [ErrWrite] and names it. A writer that was killed leaves a temporary file or
// folder, of which the next writer of the same target takes possession.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

var (
	// ErrWrite: the disk, or who may write where, ended the writing.
	ErrWrite = errors.New("cannot be written")
	// ErrBusy: another program is writing the same folder.
	ErrBusy = errors.New("another program is writing it")
	// errLocked: a file or folder is another program's.
	errLocked = errors.New("locked")
	// errAbandoned: see [Disk.Abandon].
	errAbandoned = errors.New("the program ends")
)

// Disk is what files are written to. The zero value, and nil, is the system's.
type Disk struct {
	// Before, unless nil, is asked before each call of the system that writes; an
	// error that it returns is that call's. Tests have calls fail, and take down
	// their order.
	Before func(Call) error

	mu        sync.Mutex
	begun     map[any]temporary // by the File or Folder
	abandoned bool
}

// Abandon removes what has no name yet, and refuses to go on or to begin more: for a
// program that ends while some of its goroutines may still write. It ends with ctx, and
// returns what is left then, which the next writer of the same target removes.
func (d *Disk) Abandon(ctx context.Context) (left []Left) {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.abandoned = true
	for _, t := range d.begun {
		gone := false
		for !gone && ctx.Err() == nil {
			var err error
			if gone, err = t.cut(t.path); err != nil {
				break
			}
		}
		if !gone {
			left = append(left, Left{t.path, size(t.path)})
		}
	}
	d.begun = nil
	return left
}

// Left is what there was no time to remove.
type Left struct {
	Path  string
	Bytes int64
}

// step runs f, which gives or takes names, unless the disk was abandoned. It is not
// abandoned meanwhile.
func (d *Disk) step(f func() error) error {
	if d == nil {
		return f()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.abandoned {
		return errAbandoned
	}
	return f()
}

// begin notes, in a step, that a file or folder has a temporary name.
func (d *Disk) begin(what any, t temporary) {
	if d == nil {
		return
	}
	if d.begun == nil {
		d.begun = map[any]temporary{}
	}
	d.begun[what] = t
}

// end notes that it has none any more. It must still be locked.
func (d *Disk) end(what any) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.begun, what)
}

// Call is a call of the system.
type Call struct {
	Do   Do
	Path string
}

// Do is what a call does.
type Do string

// Calls. What only cleans up is none of them.
const (
	Make   Do = "make"   // a folder
	Create Do = "create" // a file
	Write  Do = "write"
	Sync   Do = "sync" // a file or folder
	Close  Do = "close"
	Rename Do = "rename" // to Path
)

// before asks Before, and refuses calls on a disk that was abandoned.
func (d *Disk) before(do Do, path string) error {
	err := d.step(func() error { return nil })
	if err == nil && d != nil && d.Before != nil {
		err = d.Before(Call{do, path})
	}
	if err != nil {
		return &fs.PathError{Op: string(do), Path: path, Err: err}
	}
	return nil
}

// failed wraps an error of writing target: people know nothing of temporary names.
func failed(target string, err error) error {
	if err == nil {
		return nil
	}
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &link):
		err = link.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s %w: %w; check who may write there, or write elsewhere", target, ErrWrite, err)
	}
	return fmt.Errorf("%s %w: %w", target, ErrWrite, err)
}

// MakeAll makes a folder, and those that it lies in, unless they are there.
func (d *Disk) MakeAll(dir string) error {
	err := d.before(Make, dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	return failed(dir, err)
}

// beside is the temporary name of a target. There is one, so that two writers meet.
func beside(target string) string {
	parent, base := filepath.Split(target)
	return filepath.Join(parent, "."+base+".tmp")
}

// holds reports whether a locked file or folder is still the one at a path.
func holds(path string, f *os.File) bool {
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(locked, there)
}

// syncDir makes the names in a folder durable.
func (d *Disk) syncDir(dir string) error {
	if err := d.before(Sync, dir); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
