package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mnnconv/graph"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

func TestExitOf(t *testing.T) {
	_, isDir := os.ReadFile(t.TempDir())
	for _, c := range []struct {
		err  error
		code int
	}{
		{errors.New("unforeseen"), 1},
		{usagef("x"), 2},
		{generate.ErrOption, 2},
		{fmt.Errorf("%w: %w", generate.ErrMalformed, generate.ErrOption), 3}, // in a file, not a flag
		{fs.ErrNotExist, 3},
		{isDir, 3},
		{onnx.ErrMalformed, 3},
		{graph.ErrCycle, 3},
		{onnx.ErrUnsupported, 4},
		{op.ErrUnsupported, 4},
		{graph.ErrType, 5},
		{partition.ErrPlacement, 6},
		{runtime.ErrUnavailable, 7},
		{runtime.ErrMemory, 8},
		{picture.ErrLimit, 8},
		{fmt.Errorf("%w: %w", op.ErrInput, graph.ErrLimit), 8},
		{fmt.Errorf("%w: %w", disk.ErrWrite, &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), 8},
		{runtime.ErrExecution, 9},
		{errDiffer, 10},
		{errInterrupted, 130},
		{errTerminated, 143},
	} {
		if code, _ := exitOf(fmt.Errorf("file: %w", c.err)); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, code, c.code)
		}
	}
}

func TestLines(t *testing.T) {
	a, b := errors.New("a"), errors.New("b\x1b[2J\n")
	for _, c := range []struct {
		err  error
		want []string
	}{
		{a, []string{"a"}},
		{b, []string{`b\x1b[2J\n`}},
		{errors.Join(a, b), []string{"a", `b\x1b[2J\n`}},
		{fmt.Errorf("file: %w", errors.Join(a, errors.Join(b, a))), []string{"file: a", `file: b\x1b[2J\n`, "file: a"}},
		{fmt.Errorf("%w: node: %w", a, errors.Join(b, a)), []string{`a: node: b\x1b[2J\n`, "a: node: a"}},
		{fmt.Errorf("%w and %w", a, a), []string{"a and a"}},
		{errors.Join(nil, a), []string{"a"}},
		{usagef("flag: %w", a), []string{"flag: a"}},
		{&fs.PathError{Op: "open", Path: "x\ny", Err: syscall.ENOENT}, []string{`x\ny: no such file or directory`}},
		{fmt.Errorf("here: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}), []string{"here: x: no such file or directory"}},
		{errors.New("né → 漢字\u202e"), []string{`né → 漢字\u202e`}},
	} {
		if got := lines(c.err); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	var all []error
	for i := range 100 {
		all = append(all, fmt.Errorf("node %d: %w", i, op.ErrUnsupported))
	}
	var out strings.Builder
	code := (&app{err: &out}).report(errors.Join(all...))
	said := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != 4 || len(said) != 21 || said[0] != "mnnconv: node 0: unsupported" || !strings.HasPrefix(said[20], "mnnconv: … and 80 more; export") {
		t.Errorf("exit code %d, %d lines, last %q", code, len(said), said[len(said)-1])
	}
}
