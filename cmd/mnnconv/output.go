package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mnnconv/schemas/disk"
)

// schemaVersion is that of every --json output that is an object of its own.
const schemaVersion = 1

// table is rows of cells that are printed in columns.
type table [][]string

// add appends a row. Cells that come from files must be printable.
func (t *table) add(cells ...string) { *t = append(*t, cells) }

// write prints the rows, each after the indent, without blanks at their ends.
func (t table) write(w io.Writer, indent string) error {
	var widths []int
	for _, row := range t {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t {
		line := indent
		for i, c := range row {
			line += c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bytesText writes a size for people; nothing for none.
func bytesText(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// writeJSON writes a value as one line.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// writable checks, before a large model is read, that a file which a flag names can be
// written, as far as folders tell. The empty name is that of no file.
func writable(flag, file string) error {
	if file == "" {
		return nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%s %s %w: it is a folder, name a file", flag, file, disk.ErrWrite)
	}
	return inFolder(flag, file)
}

// inFolder checks that what a flag names would lie in a folder that is there.
func inFolder(flag, path string) error {
	info, err := os.Stat(filepath.Dir(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s %w: there is no folder %s, make it first", flag, path, disk.ErrWrite, filepath.Dir(path))
	case err != nil:
		return fmt.Errorf("%s %s %w: %w", flag, path, disk.ErrWrite, err)
	case !info.IsDir():
		return fmt.Errorf("%s %s %w: %s is no folder", flag, path, disk.ErrWrite, filepath.Dir(path))
	}
	return nil
}

// writeWhole writes a file that a flag names, which appears whole or not at all.
func (a *app) writeWhole(flag, file string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("%s %s: %w", flag, file, err)
	}
	if err := a.disk.WriteFile(file, b.Bytes()); err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
