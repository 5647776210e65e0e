package onnx

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// sniff names the format of a file that is certainly not an ONNX model; it
// returns "" for one that may be.
func sniff(b []byte) string {
	if len(b) == 0 {
		return "an empty file"
	}
	for _, k := range []struct{ magic, name string }{
		{"GGUF", "a GGUF model: give the exported ONNX folder instead"},
		{"PK\x03\x04", "a zip archive (a PyTorch checkpoint?): export it to ONNX first"},
		{"PK\x05\x06", "an empty zip archive"},
		{"\x1f\x8b", "a gzip archive: unpack it first"},
		{"BZh", "a bzip2 archive: unpack it first"},
		{"\xfd7zXZ\x00", "an xz archive: unpack it first"},
		{"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"},
		{"\x89HDF\r\n", "an HDF5 file"},
		{"\x93NUMPY", "a NumPy array"},
		{"\x80\x02", "a Python pickle (a PyTorch checkpoint?): export it to ONNX first"},
		{"\x80\x04", "a Python pickle: export it to ONNX first"},
		{"\x89PNG", "a PNG picture"},
		{"\xff\xd8\xff", "a JPEG picture"},
		{"\x7fELF", "an ELF program"},
		{"version https://git-lfs", "a Git LFS pointer: fetch the real file with git lfs pull"},
		{"ORTM", "an ONNX Runtime flatbuffer model: give the .onnx file instead"},
	} {
		if bytes.HasPrefix(b, []byte(k.magic)) {
			return k.name
		}
	}
	if len(b) >= 8 && string(b[4:8]) == "ORTM" {
		return "an ONNX Runtime flatbuffer model: give the .onnx file instead"
	}
	if len(b) >= 10 {
		if n := binary.LittleEndian.Uint64(b); n <= uint64(len(b)-8) && b[8] == '{' {
			return "a safetensors file: export the model to ONNX first"
		}
	}
	if isMNN(b) {
		return "an MNN model: give the ONNX files that MNN's exporter writes with --export onnx"
	}
	if isText(b[:min(len(b), 512)]) {
		return "text"
	}
	return ""
}

// isMNN recognises MNN's flatbuffer: it has no magic bytes, but its root table
// offset, the table's vtable and the vtable's sizes must fit each other.
func isMNN(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	root := uint64(binary.LittleEndian.Uint32(b))
	if root < 4 || root%4 != 0 || root+4 > uint64(len(b)) || root > 1<<16 {
		return false
	}
	vtable := int64(root) - int64(int32(binary.LittleEndian.Uint32(b[root:])))
	if vtable < 4 || vtable+4 > int64(len(b)) {
		return false
	}
	size := binary.LittleEndian.Uint16(b[vtable:])
	table := binary.LittleEndian.Uint16(b[vtable+2:])
	return size >= 4 && size%2 == 0 && size < 128 && table >= 4 && table < 256 && vtable+int64(size) <= int64(len(b))
}

// isText reports whether b is UTF-8 that a person could have written. A model
// starts with a field number and a version, which are control characters.
func isText(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 && len(b)-i >= utf8.UTFMax {
			return false
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		i += n
	}
	return true
}
