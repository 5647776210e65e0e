//go:build !unix

package disk

import (
	"fmt"
	"os"
)

// locks: files and folders cannot be locked, so none is taken for stale.
const locks = false

func lock(string, bool) (*os.File, error) { return nil, nil }

func unlock(*os.File) error { return nil }

func openOwn(path string) (*os.File, error) {
	return nil, fmt.Errorf("%w: if none is, remove %s", ErrBusy, path)
}
