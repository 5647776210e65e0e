package onnx

import (
	"fmt"
	"io/fs"
	"os"
)

// MapFile maps a regular file that lies beside a model, such as a table of
// weights without a graph. The bytes are read only and valid until unmap.
func MapFile(path string) (data []byte, unmap func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // the mapping outlives the descriptor
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() != int64(int(info.Size())) {
		return nil, nil, &fs.PathError{Op: "map", Path: path, Err: fmt.Errorf("%w: not a regular file with contents", ErrMalformed)}
	}
	if data, err = mmap(f, int(info.Size())); err != nil {
		return nil, nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	return data, func() error { return munmap(data) }, nil
}
