package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// External data is where an attacker's file leaves its folder, so it passes
// four layers, and a refusal names the one that stopped it:
//
//	containment  the location is a plain relative path, and is opened through a
//	             handle of the folder (os.Root), which no race can lead out of it
//	symlink      no part of the path is a symbolic link, and what was opened is
//	             what was looked at
//	regular file no folder, pipe, socket or device
//	hard link    the file has one name, so that it is not somebody else's
//
// Options.AllowLinks opens the second and fourth layer for links that lead to
// a place beneath one of its folders.

// externalFiles opens the data files of one model, each once.
type externalFiles struct {
	dir   string   // "" refuses all
	links []string // folders that links may lead into
	files *files
	open  map[string]*dataFile // by cleaned location
	root  *os.Root
}

type dataFile struct {
	data []byte
	used []graph.Range
}

// externalData lets t.Data be size bytes of the file that the entries name.
func (d *decoder) externalData(t *graph.Tensor, entries []span, size int64) error {
	var location string
	var offset, length int64 = 0, -1
	seen := map[string]bool{}
	for _, s := range entries {
		e := &pb.StringStringEntryProto{}
		if err := d.message(s, 4, e, held{}); err != nil {
			return err
		}
		key, value := e.GetKey(), e.GetValue()
		if seen[key] {
			return malformed("external_data: key %s is given twice", quote(key))
		}
		seen[key] = true
		var err error
		switch key {
		case "location":
			location = value
		case "offset":
			offset, err = parseSize(value)
		case "length":
			length, err = parseSize(value)
		case "checksum", "basepath": // known and not used
		default:
			err = malformed("key is not one of location, offset, length, checksum, basepath")
		}
		if err != nil {
			return within(err, "external_data: %s", quote(key))
		}
	}
	if length >= 0 && length != size {
		return malformed("%s%v needs %d bytes, its external data has %d", t.DType, t.Shape, size, length)
	}
	if size == 0 && location == "" {
		return nil
	}
	file, err := d.external.file(location)
	if err != nil {
		return within(err, "external data %s", quote(location))
	}
	data := file.data
	if have := int64(len(data)); offset > have || size > have-offset {
		return malformed("external data %s: bytes %d to %d are needed, the file has %d", quote(location), offset, uint64(offset)+uint64(size), have)
	}
	t.Data = data[offset : offset+size : offset+size]
	t.Source = &graph.Range{File: location, Offset: offset, Length: size}
	if size > 0 {
		file.used = append(file.used, *t.Source)
	}
	return d.take(64)
}

// parseSize reads a count of bytes.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, malformed("%s is not a number of bytes", quote(s))
	}
	return int64(n), nil
}

// file returns the mapped bytes of a data file.
func (x *externalFiles) file(location string) (*dataFile, error) {
	if err := x.checkLocation(location); err != nil {
		return nil, err
	}
	path := filepath.Clean(filepath.FromSlash(location))
	if file, ok := x.open[path]; ok {
		return file, nil
	}
	f, size, err := x.openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := x.files.mapFile(quote(filepath.Join(x.dir, path)), f, size)
	if err != nil {
		return nil, err
	}
	x.open[path] = &dataFile{data: data}
	return x.open[path], nil
}

func (x *externalFiles) checkLocation(location string) error {
	switch {
	case x.dir == "":
		return malformed("refused by containment: the model was not read from a folder, and no folder of external data was given")
	case location == "":
		return malformed("no location is given")
	case len(location) > 4096:
		return malformed("refused by containment: the location has %d bytes", len(location))
	case !filepath.IsLocal(location) || strings.ContainsAny(location, "\x00\\"):
		return malformed("refused by containment: not a plain path beneath the model's folder")
	}
	return nil
}

// openFile opens a cleaned local path in the folder.
func (x *externalFiles) openFile(path string) (*os.File, int64, error) {
	if x.root == nil {
		root, err := os.OpenRoot(x.dir)
		if err != nil {
			return nil, 0, err
		}
		x.root = root
	}
	if len(x.links) > 0 {
		return x.openLinked(path)
	}
	f, info, err := openIn(x.root, path)
	if err != nil {
		return nil, 0, err
	}
	if n := linkCount(info); n > 1 {
		f.Close()
		return nil, 0, hardLink(n)
	}
	return f, info.Size(), nil
}

func hardLink(names uint64) error {
	return linked("refused as a hard link: the file has %d names", names)
}

// openLinked follows links, and opens what they lead to if that is beneath the
// model's folder or one where links are allowed.
func (x *externalFiles) openLinked(path string) (*os.File, int64, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(x.dir, path))
	if err != nil {
		return nil, 0, refused(err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, 0, err
	}
	refusal := linked("refused by containment: it leads to %s, which is beneath no folder where links are allowed", quote(real))
	for i, dir := range append([]string{x.dir}, x.links...) {
		base, err := filepath.EvalSymlinks(dir)
		if err == nil {
			base, err = filepath.Abs(base)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("folder %s: %w", quote(dir), err)
		}
		rel, err := filepath.Rel(base, real)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		root, err := os.OpenRoot(base)
		if err != nil {
			return nil, 0, err
		}
		f, info, err := openIn(root, rel)
		root.Close()
		if err != nil {
			return nil, 0, err
		}
		// The model's own folder allows hard links only if it is named, too.
		if n := linkCount(info); i == 0 && n > 1 {
			f.Close()
			refusal = hardLink(n)
			continue
		}
		return f, info.Size(), nil
	}
	return nil, 0, refusal
}

// openIn opens a regular file beneath root, on a path without symbolic links.
func openIn(root *os.Root, path string) (*os.File, fs.FileInfo, error) {
	var looked fs.FileInfo
	for i := 0; i <= len(path); i++ {
		if i < len(path) && path[i] != filepath.Separator {
			continue
		}
		info, err := root.Lstat(path[:i])
		if err != nil {
			return nil, nil, refused(err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, nil, linked("refused as a symlink: %s is a symbolic link", quote(path[:i]))
		}
		looked = info
	}
	if !looked.Mode().IsRegular() {
		return nil, nil, malformed("refused as no regular file: it is a %s", kindOf(looked.Mode()))
	}
	// Without blocking, should a pipe have taken the file's place.
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, refused(err)
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(looked, info) {
		err = malformed("refused as a symlink: the file was replaced while it was opened")
	}
	if err == nil && !info.Mode().IsRegular() {
		err = malformed("refused as no regular file: it is a %s", kindOf(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// refused tells os.Root's refusal to leave the folder from other errors. The
// path in them is the file's own word and is left out: callers show it quoted.
func refused(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return malformed("%w: copy the whole export, its data files too", err)
	case errors.Is(err, fs.ErrPermission):
		return err
	}
	return malformed("refused by containment: %w", err)
}

// check refuses ranges that overlap without being the same: tied weights share
// a range, a wrong offset gives part of another tensor's.
func (x *externalFiles) check() error {
	for name, file := range x.open {
		ranges := file.used
		sort.Slice(ranges, func(i, j int) bool {
			a, b := ranges[i], ranges[j]
			return a.Offset < b.Offset || a.Offset == b.Offset && a.Length < b.Length
		})
		for i := 1; i < len(ranges); i++ {
			a, b := ranges[i-1], ranges[i]
			if (a.Offset != b.Offset || a.Length != b.Length) && a.Offset+a.Length > b.Offset {
				return malformed("external data %s: the ranges of two tensors overlap: bytes %d to %d and %d to %d",
					quote(name), a.Offset, a.Offset+a.Length, b.Offset, b.Offset+b.Length)
			}
		}
	}
	return nil
}

func (x *externalFiles) close() {
	if x.root != nil {
		x.root.Close()
	}
}
