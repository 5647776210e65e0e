package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// entry encodes one field of a message: bytes, a string or a number.
func entry(num protowire.Number, value any) []byte {
	switch v := value.(type) {
	case int:
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
	case string:
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), v)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), value.([]byte))
}

func message(fields ...[]byte) []byte { return bytes.Join(fields, nil) }

// value is a ValueInfoProto of a float32 vector, of unknown length or n.
func value(name string, n int) []byte {
	dim := entry(2, "n")
	if n > 0 {
		dim = entry(1, n)
	}
	return message(entry(1, name), entry(2, entry(1, message(entry(1, 1), entry(2, entry(1, dim))))))
}

// node is a NodeProto with one input and one output.
func node(op, in, out string, more ...[]byte) []byte {
	return message(append([][]byte{entry(1, in), entry(2, out), entry(3, out), entry(4, op)}, more...)...)
}

// onnxFile is a ModelProto of opset 20 with input x, output y and more fields of
// its graph.
func onnxFile(graph ...[]byte) []byte {
	g := message(append([][]byte{entry(2, "g"), entry(11, value("x", 0)), entry(12, value("y", 0))}, graph...)...)
	return message(entry(1, 8), entry(7, g), entry(8, message(entry(1, ""), entry(2, 20))))
}

// TestFaults gives files of every kind of fault that an ONNX file may have. Each is
// refused by its exit code and a message that names the file and what is wrong.
func TestFaults(t *testing.T) {
	neg := entry(1, node("Neg", "x", "y"))
	good := onnxFile(neg)
	weight := func(fields ...[]byte) []byte {
		return entry(5, message(append([][]byte{entry(1, 2), entry(2, 1), entry(8, "w")}, fields...)...))
	}
	outside := func(location string) []byte {
		external := func(key, value string) []byte { return entry(13, message(entry(1, key), entry(2, value))) }
		return onnxFile(entry(1, node("Add", "x", "y", entry(1, "w"))), weight(entry(14, 1), external("location", location), external("length", "8")))
	}
	for _, c := range []struct {
		fault string
		data  []byte
		code  int
		want  string
	}{
		{"F01 empty", nil, 3, "looks like an empty file"},
		{"F01 text", []byte("hello, this is no model at all\n"), 3, "not an ONNX model"},
		{"F01 zip", []byte("PK\x03\x04 and so on"), 3, "looks like"},
		{"F01 GGUF", []byte("GGUF\x03\x00\x00\x00"), 3, "looks like"},
		{"F02 cut off", good[:len(good)-3], 3, "byte"},
		{"F05 a huge length", append(protowire.AppendTag(nil, 7, protowire.BytesType), 0xff, 0xff, 0xff, 0xff, 0x7f), 3, "declared"},
		{"F07 a name that would clear the screen", onnxFile(entry(1, node("Neg", "\x1b[2J", "y"))), 3, `\x1b[2J`},
		{"F08 IR version", message(entry(1, 99), good[2:]), 4, "IR version 99"},
		{"F08 opset", message(good, entry(8, message(entry(1, ""), entry(2, 99)))), 4, "opset 99"},
		{"F08 domain", onnxFile(entry(1, node("Neg", "x", "y", entry(7, "com.nobody")))), 3, "com.nobody"},
		{"F09 defined twice", onnxFile(neg, entry(1, node("Abs", "x", "y"))), 3, "defines already"},
		{"F10 ring", onnxFile(entry(1, node("Neg", "b", "y")), entry(1, node("Abs", "y", "b"))), 3, "→"},
		{"F11 never produced", onnxFile(entry(1, node("Neg", "nothing", "y"))), 3, "nothing produces"},
		{"F11 output never produced", onnxFile(), 3, "never produced"},
		{"F13 no body", onnxFile(entry(1, node("If", "x", "y"))), 5, "then_branch"},
		{"F14 extents", onnxFile(neg, entry(5, message(entry(1, 1<<62), entry(1, 1<<62), entry(2, 1), entry(8, "w"), entry(9, "")))), 3, "64 bits"},
		{"F16 too few bytes", onnxFile(neg, weight(entry(9, "1234"))), 3, "needs 8 bytes"},
		{"F17 missing file", outside("w.bin"), 3, "w.bin"},
		{"F18 out of the folder", outside("../w.bin"), 3, "../w.bin"},
		{"F20 attribute of another kind", onnxFile(entry(1, node("Softmax", "x", "y", entry(5, message(entry(1, "axis"), entry(4, "1"), entry(20, 3)))))), 3, `"axis" is a string, want an integer`},
		{"F20 attribute out of range", onnxFile(entry(1, node("Softmax", "x", "y", entry(5, message(entry(1, "axis"), entry(3, 7), entry(20, 2)))))), 5, "axis 7"},
		{"F20 unknown attribute", onnxFile(entry(1, node("Neg", "x", "y", entry(5, message(entry(1, "speed"), entry(3, 7), entry(20, 2)))))), 4, `"speed" is unknown to Neg`},
		{"F21 declared otherwise", onnxFile(entry(1, node("Neg", "z", "y")), entry(11, value("z", 3)), entry(12, value("u", 4)), entry(1, node("Abs", "z", "u"))), 5, `declares "u" as`},
		{"F26 unknown operator", onnxFile(entry(1, node("Frobnicate", "x", "y"))), 4, "Frobnicate"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "model.onnx")
			if err := os.WriteFile(file, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"inspect", "validate"} {
				var out, errs bytes.Buffer
				code := run([]string{command, file}, strings.NewReader(""), &out, &errs)
				if code != c.code || !strings.Contains(errs.String(), c.want) || !strings.Contains(errs.String(), "model.onnx") {
					t.Errorf("%s exits %d, want %d with %q; it says %s", command, code, c.code, c.want, errs.String())
				}
				if strings.Contains(errs.String(), "\x1b[2J") {
					t.Errorf("%s writes a name raw", command)
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"validate", file}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Errorf("the model without a fault: exit %d: %s", code, errs.String())
	}
}
