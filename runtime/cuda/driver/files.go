//go:build linux && !nogpu

package driver

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// deviceFiles says what the files of devices tell of a driver that does not start: that
// there are none, which of them may not be opened, or that all can be.
func deviceFiles(pattern string, open func(string, int, fs.FileMode) (*os.File, error)) string {
	files, _ := filepath.Glob(pattern) // the pattern is a constant
	var closed []string
	some := false
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil || info.IsDir() {
			continue
		}
		some = true
		f, err := open(name, os.O_RDWR, 0)
		if err != nil {
			closed = append(closed, err.Error())
			continue
		}
		_ = f.Close() // nothing was written
	}
	switch {
	case !some:
		return "there is no " + pattern + ": no GPU, no kernel module, or a container that was not given it"
	case len(closed) > 0:
		return strings.Join(closed, ", ") + ": ask for permission"
	}
	return "its files " + pattern + " can be opened"
}
