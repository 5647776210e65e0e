// Package conformance runs ONNX's own backend tests, release 1.22.0: every
// operator's node cases, a few simple models and the "light" image networks, as
// they were published, on any backend.
//
// What flows in: a backend. What flows out: one subtest a case, held to ONNX's own
// tolerances. skip.txt says what is not run and why; docs/conformance.md is
// written from both.
package conformance

import (
	"archive/tar"
	"bytes"
	_ "embed" // the archive and the list of skips
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/ulikunitz/xz"
)

//go:embed testdata/onnx-1.22.0-backend-tests.tar.xz
var archive []byte

// Case is one model of the suite with inputs and the outputs that it must give.
type Case struct {
	Suite string // "node", "simple" or "light"
	Name  string // without "test_"
	Model []byte // the .onnx file
	Sets  []Set
}

// Set is one run of a case: the bytes of its .pb files, in order.
type Set struct{ In, Out [][]byte }

// String returns suite and name, as the list of skips has them.
func (c *Case) String() string { return c.Suite + "/" + c.Name }

// Cases unpacks the suite, once, sorted by suite and name.
var Cases = sync.OnceValues(func() ([]*Case, error) {
	packed, err := xz.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if files[path.Clean(h.Name)], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return sorted(files)
})

// sorted groups the files into cases.
func sorted(files map[string][]byte) ([]*Case, error) {
	var cases []*Case
	for _, file := range slices.Sorted(maps.Keys(files)) {
		suite, rest, _ := strings.Cut(file, "/")
		var c *Case
		switch dir, base := path.Split(rest); {
		case base == "model.onnx":
			dir = path.Clean(dir)
			c = &Case{Suite: suite, Name: strings.TrimPrefix(dir, "test_"), Model: files[file]}
			for i := 0; ; i++ {
				data := fmt.Sprintf("%s/%s/test_data_set_%d/", suite, dir, i)
				set := Set{numbered(files, data+"input_"), numbered(files, data+"output_")}
				if len(set.Out) == 0 {
					break
				}
				c.Sets = append(c.Sets, set)
			}
		case suite == "light" && path.Ext(base) == ".onnx":
			name := strings.TrimSuffix(base, ".onnx")
			c = &Case{Suite: suite, Name: strings.TrimPrefix(name, "light_"), Model: files[file],
				Sets: []Set{{Out: numbered(files, "light/"+name+"_output_")}}}
		default:
			continue
		}
		if len(c.Sets) == 0 {
			return nil, fmt.Errorf("%s has no outputs to compare with", c)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// numbered returns the files stem0.pb, stem1.pb and so on.
func numbered(files map[string][]byte, stem string) [][]byte {
	var out [][]byte
	for {
		b, ok := files[fmt.Sprintf("%s%d.pb", stem, len(out))]
		if !ok {
			return out
		}
		out = append(out, b)
	}
}
