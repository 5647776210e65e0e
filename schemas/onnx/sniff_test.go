package onnx

import (
	"encoding/binary"
	"testing"
)

// TestSniff gives files of other formats as models (fault F01).
func TestSniff(t *testing.T) {
	safetensors := binary.LittleEndian.AppendUint64(nil, 40)
	safetensors = append(safetensors, `{"w":{"dtype":"F32","shape":[1]}}       1234`...)
	// A flatbuffer: root table at 16, its vtable at 4.
	mnn := []byte{16, 0, 0, 0, 12, 0, 8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 12, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		name, data, want string
	}{
		{"empty", "", "an empty file"},
		{"text", "hello, world\n", "text"},
		{"utf-8 text", "ひらがな, カタカナ\n", "text"},
		{"json", `{"model": 1}`, "text"},
		{"zip", "PK\x03\x04\x14\x00\x00\x00", "zip"},
		{"gzip", "\x1f\x8b\x08\x00", "gzip"},
		{"gguf", "GGUF\x03\x00\x00\x00", "GGUF"},
		{"safetensors", string(safetensors), "safetensors"},
		{"mnn", string(mnn), "MNN"},
		{"pickle", "\x80\x02}q\x00", "pickle"},
		{"hdf5", "\x89HDF\r\n\x1a\n", "HDF5"},
		{"numpy", "\x93NUMPY\x01\x00", "NumPy"},
		{"png", "\x89PNG\r\n\x1a\n", "PNG"},
		{"elf", "\x7fELF\x02\x01\x01", "ELF"},
		{"lfs", "version https://git-lfs.github.com/spec/v1\n", "LFS"},
		{"ort", "\x1c\x00\x00\x00ORTM\x00\x00", "Runtime"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode("m.onnx", []byte(c.data), Options{})
			refuses(t, err, ErrMalformed, "m.onnx: not an ONNX model, looks like ", c.want)
		})
	}
	if kind := sniff(encode(t, newModel(node("Neg", "x", "y")))); kind != "" {
		t.Errorf("a model looks like %s", kind)
	}
}
