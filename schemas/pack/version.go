package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mnnconv/schemas/disk"
)

// errReplaced: files of two versions may have been read.
var errReplaced = fmt.Errorf("the package was replaced while it was read: %w: run the command again", disk.ErrBusy)

// Version is the folder of a package as it was when it was looked at. Whoever replaces
// a package puts another folder in its place. Close it.
type Version struct {
	dir string
	f   *os.File // keeps the folder's number from being given to another
}

// Look looks at a package's folder.
func Look(dir string) (*Version, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Version{dir, f}, nil
}

// Check returns an error, which is disk.ErrBusy, if another folder is in its place.
func (v *Version) Check() error {
	was, err := v.f.Stat()
	if err != nil {
		return err
	}
	is, err := os.Stat(v.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(was, is) {
		return fmt.Errorf("%s: %w", v.dir, errReplaced)
	}
	return err
}

// Close releases the folder.
func (v *Version) Close() error { return v.f.Close() }
