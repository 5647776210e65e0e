package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// file is one file of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

// write puts the archive and the bill of materials into dir.
func (p *program) write(dir string, when time.Time) error {
	bill, err := p.bill(when)
	if err != nil {
		return err
	}
	files, err := p.files()
	if err != nil {
		return err
	}
	pack, suffix := tarred, ".tar.gz"
	if strings.HasPrefix(p.target, "windows/") {
		pack, suffix = zipped, ".zip"
	}
	data, err := pack(p.name(), files, when.UTC())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, p.name()+suffix), data, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, p.name()+".cdx.json"), bill, 0o644)
}

// files are what an archive holds.
func (p *program) files() ([]file, error) {
	program := "mnnconv"
	if strings.HasPrefix(p.target, "windows/") {
		program += ".exe"
	}
	out := []file{{program, 0o755, p.data}, {"LICENSES.txt", 0o644, []byte(p.notices())}}
	names, err := filepath.Glob(filepath.Join(p.source, "docs", "man", "*.1"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no man pages in docs/man")
	}
	for i, name := range names {
		names[i] = "docs/man/" + filepath.Base(name)
	}
	for _, name := range append([]string{"LICENSE", "NOTICE", "README.md"}, names...) {
		data, err := os.ReadFile(filepath.Join(p.source, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		out = append(out, file{strings.TrimPrefix(name, "docs/"), 0o644, data})
	}
	return out, nil
}

func tarred(folder string, files []file, when time.Time) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: folder + "/" + f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: when, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func zipped(folder string, files []file, when time.Time) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		h := &zip.FileHeader{Name: folder + "/" + f.name, Method: zip.Deflate, Modified: when}
		h.SetMode(os.FileMode(f.mode))
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
