package npy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
)

// TestReadNumPy reads what NumPy wrote; see testdata/make.py.
func TestReadNumPy(t *testing.T) {
	counting := []float32{0, 1, 2, 3, 4, 5}
	upTo24 := make([]float32, 24)
	for i := range upTo24 {
		upTo24[i] = float32(i)
	}
	for _, k := range []struct {
		file  string
		dtype graph.DType
		shape []int64
		want  []float32
	}{
		{"bool", graph.Bool, []int64{2, 3}, []float32{0, 1, 0, 1, 0, 1}},
		{"int8", graph.Int8, []int64{2, 3}, counting},
		{"int16", graph.Int16, []int64{2, 3}, counting},
		{"int32", graph.Int32, []int64{2, 3}, counting},
		{"int64", graph.Int64, []int64{2, 3}, counting},
		{"uint8", graph.Uint8, []int64{2, 3}, counting},
		{"uint16", graph.Uint16, []int64{2, 3}, counting},
		{"uint32", graph.Uint32, []int64{2, 3}, counting},
		{"uint64", graph.Uint64, []int64{2, 3}, counting},
		{"float16", graph.Float16, []int64{2, 3}, counting},
		{"float32", graph.Float32, []int64{2, 3}, counting},
		{"float64", graph.Float64, []int64{2, 3}, counting},
		{"version2", graph.Float32, []int64{2, 3}, counting},
		{"version3", graph.Float32, []int64{2, 3}, counting},
		{"fortran", graph.Int16, []int64{2, 3, 4}, upTo24},
		{"scalar", graph.Int64, []int64{}, []float32{7}},
		{"empty", graph.Float32, []int64{0, 3}, []float32{}},
	} {
		t.Run(k.file, func(t *testing.T) {
			path := filepath.Join("testdata", k.file+".npy")
			got, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			values, err := got.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			if got.DType != k.dtype || !slices.Equal(got.Shape, k.shape) || !slices.Equal(values, k.want) {
				t.Errorf("got %s %v, want %s %v %v", got.Type(), values, k.dtype, k.shape, k.want)
			}
			if strings.HasPrefix(k.file, "version") || k.file == "fortran" {
				return
			}
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if ours, err := encode(got); err != nil || !bytes.Equal(ours, file) {
				t.Errorf("encoded, it is %q (%v), NumPy wrote %q", ours, err, file)
			}
		})
	}
}

// file builds a file of version 1.0.
func file(head, data string) string {
	return magic + "\x01\x00" + string([]byte{byte(len(head)), byte(len(head) >> 8)}) + head + data
}

func TestDecodeRefuses(t *testing.T) {
	dict := func(descr, order, shape string) string {
		return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + "}\n"
	}
	sound := dict("'<f4'", "False", "(1, 2)")
	if _, err := Decode("sound", []byte(file(sound, "01234567"))); err != nil {
		t.Fatal(err)
	}
	many := "(" + strings.Repeat("1, ", 65) + ")"
	for _, k := range []struct {
		name, bytes string
		is          error
		want        string
	}{
		{"nothing", "", ErrMalformed, "does not begin with"},
		{"zip", "PK\x03\x04 an .npz", ErrMalformed, "does not begin with"},
		{"no version", magic, ErrMalformed, "ends within the version"},
		{"version 0", magic + "\x00\x00", ErrMalformed, "version 0.0"},
		{"version 4", magic + "\x04\x00", ErrMalformed, "version 4.0"},
		{"version 1.1", magic + "\x01\x01", ErrMalformed, "version 1.1"},
		{"no length", magic + "\x01\x00\x10", ErrMalformed, "ends within the header's length"},
		{"short length", magic + "\x02\x00\x10\x00\x00", ErrMalformed, "ends within the header's length"},
		{"long header", magic + "\x01\x00\xff\xff{", ErrMalformed, "a header of 65535 bytes, where 1 follow"},
		{"huge header", magic + "\x03\x00\xff\xff\xff\xff{", ErrMalformed, "a header of 4294967295 bytes"},
		{"header over the limit", magic + "\x02\x00\x01\x00\x01\x00" + strings.Repeat(" ", 1<<16+1), ErrMalformed, "65536 are the limit"},
		{"empty header", file("", ""), ErrMalformed, `byte 0: malformed .npy: got "", want '{'`},
		{"no dict", file("[]", ""), ErrMalformed, "want '{'"},
		{"unclosed", file("{'descr': '<f4'", ""), ErrMalformed, `byte 15: malformed .npy: got "", want ','`},
		{"unclosed key", file("{'descr", ""), ErrMalformed, "string without an end"},
		{"escape", file(dict(`'\x3cf4'`, "False", "()"), ""), ErrMalformed, "with an escape"},
		{"no colon", file("{'descr' '<f4'}", ""), ErrMalformed, "want ':'"},
		{"no comma", file("{'descr': '<f4' 'shape': ()}", ""), ErrMalformed, "want ','"},
		{"missing key", file("{'descr': '<f4', 'shape': ()}", "0123"), ErrMalformed, `key "fortran_order" is missing`},
		{"twice", file("{'descr': '<f4', 'descr': '<f8'}", ""), ErrMalformed, `key "descr" comes twice`},
		{"unknown key", file("{'allow_pickle': True}", ""), ErrMalformed, `unknown key "allow_pickle"`},
		{"after the dict", file(sound[:len(sound)-1]+"[0]", "01234567"), ErrMalformed, `"[0]" follows the dict`},
		{"order", file(dict("'<f4'", "0", "()"), "0123"), ErrMalformed, "want True or False"},
		{"no tuple", file(dict("'<f4'", "False", "[1]"), "0123"), ErrMalformed, "want '('"},
		{"a number in brackets", file(dict("'<f4'", "False", "(1)"), "0123"), ErrMalformed, "want ','"},
		{"unclosed tuple", file("{'shape': (1, 2", ""), ErrMalformed, "want ','"},
		{"negative extent", file(dict("'<f4'", "False", "(-1,)"), ""), ErrMalformed, `got "-1,)}", want an extent`},
		{"extent of 2^63", file(dict("'<f4'", "False", "(9223372036854775808,)"), ""), ErrMalformed, "want an extent"},
		{"rank", file(dict("'<f4'", "False", many), "0123"), ErrMalformed, "more than 64 extents"},
		{"elements overflow", file(dict("'|u1'", "False", "(4294967296, 4294967296)"), ""), ErrMalformed, "more elements than fit"},
		{"bytes overflow", file(dict("'<f8'", "False", "(4611686018427387904,)"), ""), ErrMalformed, "0 bytes follow the header"},
		{"data too short", file(sound, "0123456"), ErrMalformed, "7 bytes follow the header, float32[1 2] needs 8"},
		{"data too long", file(sound, "012345678"), ErrMalformed, "9 bytes follow the header, float32[1 2] needs 8"},
		{"no bool", file(dict("'|b1'", "False", "(2,)"), "\x01\x02"), ErrMalformed, "element 1 is 2, a bool is 0 or 1"},
		{"no type", file(dict("''", "False", "()"), ""), ErrMalformed, "'descr' is empty"},
		{"big-endian", file(dict("'>i8'", "False", "()"), "01234567"), ErrUnsupported, `big-endian elements ">i8"; save a.astype('<i8')`},
		{"no order", file(dict("'|f4'", "False", "()"), "0123"), ErrUnsupported, `elements "|f4"`},
		{"objects", file(dict("'|O'", "False", "()"), ""), ErrUnsupported, `elements "|O"`},
	} {
		t.Run(k.name, func(t *testing.T) {
			_, err := Decode("x.npy", []byte(k.bytes))
			if !errors.Is(err, k.is) || !strings.HasPrefix(err.Error(), "x.npy: ") || !strings.Contains(err.Error(), k.want) {
				t.Errorf("got  %v\nwant %v: … %s", err, k.is, k.want)
			}
		})
	}
}

func TestReadRefusesNumPy(t *testing.T) {
	for file, want := range map[string]string{
		"bigendian": "big-endian", "structured": "structured", "text": `"<U2"`, "complex": `"<c8"`,
	} {
		_, err := Read(filepath.Join("testdata", file+".npy"))
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s to be unsupported", file, err, want)
		}
	}
	if _, err := Read(filepath.Join("testdata", "none.npy")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for a file that does not exist", err)
	}
}

// TestTruncations cuts a sound file everywhere.
func TestTruncations(t *testing.T) {
	b, err := os.ReadFile("testdata/float32.npy")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		if _, err := Decode("cut", b[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d of %d bytes: got %v", n, len(b), err)
		}
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	for _, want := range []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 4, 1), graph.Ints([]int64{-5}), graph.Scalar(9)} {
		if err := Write(nil, path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("got %s %v, want %s %v", got.Type(), got.Data, want.Type(), want.Data)
		}
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("files left behind: %v (%v)", names, err)
	}
	if err := Write(nil, filepath.Join(path, "b.npy"), graph.Scalar(1)); err == nil {
		t.Error("wrote beneath a file")
	}
}

func TestEncodeRefuses(t *testing.T) {
	deep := make([]int64, 65)
	for i := range deep {
		deep[i] = 1
	}
	for name, k := range map[string]struct {
		t           *graph.Tensor
		unsupported bool
	}{
		"bfloat16": {&graph.Tensor{DType: graph.BFloat16, Shape: []int64{1}, Data: []byte{0, 0}}, true},
		"int4":     {&graph.Tensor{DType: graph.Int4, Shape: []int64{1}, Data: []byte{0}}, true},
		"string":   {&graph.Tensor{DType: graph.String, Shape: []int64{1}, Strings: []string{"a"}}, true},
		"sequence": {&graph.Tensor{Kind: graph.SequenceKind, DType: graph.Float32}, true},
		"rank":     {&graph.Tensor{DType: graph.Int8, Shape: deep, Data: []byte{0}}, true},
		"no data":  {&graph.Tensor{DType: graph.Float32, Shape: []int64{2}}, false},
		"negative": {&graph.Tensor{DType: graph.Float32, Shape: []int64{-1}}, false},
	} {
		if _, err := encode(k.t); err == nil || errors.Is(err, ErrUnsupported) != k.unsupported {
			t.Errorf("%s: got %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "a.npy")
	err := Write(nil, path, &graph.Tensor{DType: graph.String})
	if _, statErr := os.Stat(path); err == nil || !strings.HasPrefix(err.Error(), path) || !errors.Is(statErr, os.ErrNotExist) {
		t.Errorf("got %v, and the file: %v", err, statErr)
	}
}

// FuzzDecode: whatever decodes can be encoded, and decodes to the same again.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.npy")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 0), }\n", "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Decode("fuzz", b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		again, err := encode(x)
		if err != nil {
			t.Fatal(err)
		}
		y, err := Decode("again", again)
		if err != nil {
			t.Fatal(err)
		}
		if x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
			t.Fatalf("%s became %s", x.Type(), y.Type())
		}
	})
}
