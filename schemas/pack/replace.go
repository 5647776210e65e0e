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
