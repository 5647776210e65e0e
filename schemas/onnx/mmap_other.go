//go:build !unix

package onnx

import (
	"io"
	"io/fs"
	"os"
)

// mmap reads the file where the system has no mmap that Go reaches portably.
func mmap(f *os.File, size int) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), b)
	return b, err
}

func munmap([]byte) error { return nil }

// linkCount returns how many names a file has, which this system does not tell.
func linkCount(fs.FileInfo) uint64 { return 1 }
