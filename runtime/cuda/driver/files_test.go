//go:build linux && !nogpu

package driver

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDeviceFiles(t *testing.T) {
	dir := t.TempDir()
	refuse := func(name string, _ int, _ fs.FileMode) (*os.File, error) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	if got := deviceFiles(filepath.Join(dir, "nvidia*"), os.OpenFile); !strings.Contains(got, "there is no "+dir) {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(dir, "nvidiactl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := deviceFiles(filepath.Join(dir, "nvidia*"), refuse); !strings.Contains(got, "nvidiactl: permission denied: ask") {
		t.Error(got)
	}
	if got := deviceFiles(filepath.Join(dir, "nvidia*"), os.OpenFile); !strings.Contains(got, "can be opened") {
		t.Error(got)
	}
}
