package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
)

func TestPanic(t *testing.T) {
	var errs bytes.Buffer
	a := &app{err: &errs}
	err := func() (err error) {
		defer a.recovered(&err)
		panic("an invariant")
	}()
	if code := a.report(err); code != 1 || !strings.Contains(errs.String(), "TestPanic") || !strings.Contains(errs.String(), "report") {
		t.Errorf("exit code %d and %q", code, &errs)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

// TestHelpUnwritten: help that did not come out is an error, as any result is.
func TestHelpUnwritten(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help", "run"}, {"run", "--help"}, {"--version"}, {"completion", "bash"}} {
		var errs bytes.Buffer
		if code := run(args, strings.NewReader(""), full{}, &errs); code != 8 || !strings.Contains(errs.String(), "/dev/stdout: no space left") {
			t.Errorf("%q: exit code %d and %q", args, code, &errs)
		}
	}
}

// TestVariables: every flag of every command names its variable, and no two flags
// of one command share it.
func TestVariables(t *testing.T) {
	for _, cmd := range newRootCmd(&app{}).Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.HasSuffix(f.Usage, "["+variable(f.Name)+"]") {
				t.Errorf("%s --%s: %q", cmd.Name(), f.Name, f.Usage)
			}
		})
	}
	if got := variable("max-images"); got != "MNNCONV_MAX_IMAGES" {
		t.Error(got)
	}
}

// TestTempDir: temporary folders go when the program ends.
func TestTempDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	a := &app{}
	dir, err := a.tempDir()
	if err != nil {
		t.Fatal(err)
	}
	a.end()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}
