package onnx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mnnconv/schemas/onnx/internal/pb"
)

// externalModel returns a model whose weights w0, w1 … (float32[2] each) have
// the given entries of external data.
func externalModel(t testing.TB, weights ...[]string) []byte {
	m := newModel()
	in := "x"
	for i, entries := range weights {
		w := "w" + string(rune('0'+i))
		m.Graph.Initializer = append(m.Graph.Initializer, tensorProto(w, 1, []int64{2}, external(entries...)))
		m.Graph.Node = append(m.Graph.Node, node("Add", in+" "+w, "s"+w))
		in = "s" + w
	}
	m.Graph.Output = []*pb.ValueInfoProto{{Name: in}}
	return encode(t, m)
}

// TestExternal reads weights in a data file, shared and apart.
func TestExternal(t *testing.T) {
	dir := t.TempDir()
	b := floats32(1, 2, 3, 4, 5)
	write(t, filepath.Join(dir, "sub", "w.bin"), b)
	path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t,
		[]string{"location", "sub/w.bin", "offset", "8", "length", "8", "checksum", "x", "basepath", "/nowhere"},
		[]string{"location", "./sub/w.bin"},
		[]string{"location", "sub/w.bin", "offset", "8"}))
	m, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i, want := range []string{string(b[8:16]), string(b[:8]), string(b[8:16])} {
		w := m.Graph.Nodes[i].Inputs[1].Const
		if string(w.Data) != want {
			t.Errorf("weight %d: % x", i, w.Data)
		}
		if w.Source.Length != 8 || !strings.HasSuffix(w.Source.File, "sub/w.bin") {
			t.Errorf("weight %d comes from %+v", i, w.Source)
		}
	}
	if n := len(m.files.maps); n != 2 {
		t.Errorf("%d files are mapped, want the model and its data", n)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Decode("m.onnx", data, Options{})
	refuses(t, err, ErrMalformed, "refused by containment", "no folder of external data was given")
	fromBytes, err := Decode("m.onnx", data, Options{ExternalDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if s := differ(m.Graph, fromBytes.Graph); s != "" {
		t.Error(s)
	}
	if err := fromBytes.Close(); err != nil {
		t.Error(err)
	}
}

// TestExternalEntries gives sizes and keys that do not fit (fault F17).
func TestExternalEntries(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "w.bin"), make([]byte, 20))
	write(t, filepath.Join(dir, "empty.bin"), nil)
	loc := func(more ...string) [][]string { return [][]string{append([]string{"location", "w.bin"}, more...)} }
	for _, c := range []struct {
		name    string
		weights [][]string
		kind    error // nil: loads
		parts   []string
	}{
		{"missing file", [][]string{{"location", "none.bin"}}, fs.ErrNotExist, []string{`"none.bin"`}},
		{"missing file with a hostile name", [][]string{{"location", "n\x1bne"}}, fs.ErrNotExist, []string{`"n\x1bne"`}},
		{"missing folder", [][]string{{"location", "none/w.bin"}}, fs.ErrNotExist, nil},
		{"no location", [][]string{{"offset", "0"}}, ErrMalformed, []string{"no location"}},
		{"empty file", [][]string{{"location", "empty.bin"}}, ErrMalformed, []string{"bytes 0 to 8 are needed, the file has 0"}},
		{"behind the end", loc("offset", "13"), ErrMalformed, []string{"bytes 13 to 21 are needed, the file has 20"}},
		{"unaligned", loc("offset", "11"), nil, nil},
		{"up to the end", loc("offset", "12"), nil, nil},
		{"far behind the end", loc("offset", "9223372036854775807"), ErrMalformed, []string{"the file has 20"}},
		{"length of petabytes", loc("length", "9000000000000000"), ErrMalformed, []string{"needs 8 bytes, its external data has 9000000000000000"}},
		{"short length", loc("length", "4"), ErrMalformed, []string{"needs 8 bytes, its external data has 4"}},
		{"negative offset", loc("offset", "-1"), ErrMalformed, []string{`"offset": "-1" is not a number`}},
		{"negative length", loc("length", "-8"), ErrMalformed, []string{`"length": "-8" is not a number`}},
		{"offset with sign", loc("offset", "+8"), ErrMalformed, []string{"is not a number"}},
		{"offset of letters", loc("offset", "eight"), ErrMalformed, []string{"is not a number"}},
		{"offset in hex", loc("offset", "0x8"), ErrMalformed, []string{"is not a number"}},
		{"offset of 2^63", loc("offset", "9223372036854775808"), ErrMalformed, []string{"is not a number"}},
		{"offset of 2^64", loc("offset", "18446744073709551616"), ErrMalformed, []string{"is not a number"}},
		{"empty offset", loc("offset", ""), ErrMalformed, []string{"is not a number"}},
		{"unknown key", loc("owner", "me"), ErrMalformed, []string{`"owner": key is not one of location, offset, length, checksum, basepath`}},
		{"a key twice", loc("offset", "0", "offset", "8"), ErrMalformed, []string{`key "offset" is given twice`}},
		{"overlap", append(loc(), loc("offset", "4")...), ErrMalformed, []string{"overlap: bytes 0 to 8 and 4 to 12"}},
		{"overlap under two names", append(loc(), []string{"location", "./w.bin", "offset", "7"}), ErrMalformed, []string{"overlap"}},
		{"the same range twice", append(loc("offset", "4"), loc("offset", "4")...), nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t, c.weights...))
			for _, o := range []Options{{}, {AllowLinks: []string{dir}}} {
				m, err := Load(path, o)
				if c.kind == nil {
					if err != nil {
						t.Fatal(err)
					}
					m.Close()
					continue
				}
				refuses(t, err, c.kind, append(c.parts, path)...)
				refuses(t, err, ErrMalformed)
				if strings.Contains(err.Error(), "\x1b") {
					t.Errorf("%q shows a name raw", err)
				}
			}
		})
	}
}

// TestExternalPaths leads out of the folder, or to what is no file (fault F18).
func TestExternalPaths(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "model")
	secret := write(t, filepath.Join(top, "secret.bin"), make([]byte, 8))
	cache := write(t, filepath.Join(top, "cache", "blob"), make([]byte, 8))
	write(t, filepath.Join(dir, "w.bin"), make([]byte, 8))
	write(t, filepath.Join(dir, "sub", "w.bin"), make([]byte, 8))
	write(t, filepath.Join(dir, "linked.bin"), make([]byte, 8))
	for _, err := range []error{
		os.Symlink(secret, filepath.Join(dir, "out")),
		os.Symlink("w.bin", filepath.Join(dir, "in")),
		os.Symlink(top, filepath.Join(dir, "parent")),
		os.Symlink("sub", filepath.Join(dir, "folder")),
		os.Symlink(cache, filepath.Join(dir, "cached")),
		os.Symlink("../cache/blob", filepath.Join(dir, "near")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
		os.Link(filepath.Join(dir, "linked.bin"), filepath.Join(top, "other name")),
		os.Link(cache, filepath.Join(dir, "hard")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	allowed := Options{AllowLinks: []string{filepath.Join(top, "cache")}}
	for _, c := range []struct {
		location string
		options  Options
		want     string // part of the refusal; "": loads
	}{
		{"w.bin", Options{}, ""},
		{"sub/w.bin", Options{}, ""},
		{"sub/../w.bin", Options{}, ""},
		{secret, Options{}, "refused by containment"},
		{"../secret.bin", Options{}, "refused by containment"},
		{"sub/../../secret.bin", Options{}, "refused by containment"},
		{"/proc/self/environ", Options{}, "refused by containment"},
		{"/dev/zero", Options{}, "refused by containment"},
		{`..\secret.bin`, Options{}, "refused by containment"},
		{"w.bin\x00", Options{}, "refused by containment"},
		{strings.Repeat("a/", 3000), Options{}, "refused by containment"},
		{".", Options{}, "refused as no regular file: it is a folder"},
		{"sub", Options{}, "refused as no regular file: it is a folder"},
		{"w.bin/", Options{}, ""}, // cleaned: the file itself
		{"w.bin/x", Options{}, "refused by containment"},
		{"out", Options{}, "refused as a symlink"},
		{"in", Options{}, "refused as a symlink"},
		{"loop", Options{}, "refused as a symlink"},
		{"parent/secret.bin", Options{}, "refused as a symlink"},
		{"folder/w.bin", Options{}, "refused as a symlink"},
		{"linked.bin", Options{}, "refused as a hard link: the file has 2 names"},
		{"hard", Options{}, "refused as a hard link"},
		{"cached", Options{}, "refused as a symlink"},
		{"cached", allowed, ""},
		{"near", allowed, ""},
		{"w.bin", allowed, ""},
		{"in", allowed, ""},
		{"out", allowed, "refused by containment"},
		{"parent/secret.bin", allowed, "refused by containment"},
		{"../secret.bin", allowed, "refused by containment"},
		{"linked.bin", allowed, "refused as a hard link"},
		{"linked.bin", Options{AllowLinks: []string{dir}}, ""},
	} {
		t.Run(c.location[:min(len(c.location), 40)], func(t *testing.T) {
			path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t, []string{"location", c.location}))
			m, err := Load(path, c.options)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				m.Close()
				return
			}
			refuses(t, err, ErrMalformed, c.want, path, `external data "`)
		})
	}
	path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t, []string{"location", "w.bin"}))
	_, err := Load(path, Options{AllowLinks: []string{filepath.Join(top, "none")}})
	_ = err // a folder that is not there matters only for links that lead elsewhere
	_, err = Load(filepath.Join(dir, "sub"), Options{})
	refuses(t, err, ErrMalformed, "not a regular file but a folder")
	_, err = Load(filepath.Join(dir, "none.onnx"), Options{})
	refuses(t, err, fs.ErrNotExist, "none.onnx")
}

// TestExternalSwap swaps the data file for a link out of the folder while
// models are loaded: no load may ever see what the link leads to.
func TestExternalSwap(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "model")
	good, bad := strings.Repeat("g", 8), strings.Repeat("b", 8)
	write(t, filepath.Join(top, "secret"), []byte(bad))
	path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t, []string{"location", "w.bin"}))
	target := filepath.Join(dir, "w.bin")
	stop := make(chan bool)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := errors.Join(
				os.Symlink("../secret", filepath.Join(dir, "link")),
				os.Rename(filepath.Join(dir, "link"), target),
				os.WriteFile(filepath.Join(dir, "file"), []byte(good), 0o644),
				os.Rename(filepath.Join(dir, "file"), target),
			); err != nil {
				t.Error(err)
				return
			}
		}
	})
	loaded := 0
	for i := 0; i < 500 || loaded == 0 && i < 100_000; i++ { // the file is in its place only now and then
		m, err := Load(path, Options{})
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			continue
		}
		loaded++
		if got := string(m.Graph.Nodes[0].Inputs[1].Const.Data); got != good {
			t.Errorf("read %q from outside of the folder", got)
		}
		m.Close()
	}
	close(stop)
	done.Wait()
	if loaded == 0 {
		t.Error("the file never was in its place")
	}
}
