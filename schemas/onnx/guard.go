package onnx

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// files are the mapped files of one model.
type files struct{ maps []mapping }

type mapping struct {
	name string
	data []byte
}

// mapFile maps f, which has size bytes, and remembers it under name. A file
// of no bytes gives no bytes.
func (fs *files) mapFile(name string, f *os.File, size int64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	if size != int64(int(size)) {
		return nil, limited("%s has %d bytes, more than this machine can address", name, size)
	}
	data, err := mmap(f, int(size))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	fs.maps = append(fs.maps, mapping{name, data})
	return data, nil
}

func (fs *files) close() error {
	var first error
	for _, m := range fs.maps {
		if err := munmap(m.data); err != nil && first == nil {
			first = fmt.Errorf("unmap %s: %w", m.name, err)
		}
	}
	fs.maps = nil
	return first
}

// Guard runs f, which may read the model's weights. If a file was shortened
// or its disk failed since it was mapped, reading it raises a memory fault that
// would end the program; under Guard it ends f and becomes an error that names
// the file. Only reads on f's own goroutine are covered. Other panics pass
// through.
func (m *Model) Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if at, ok := r.(interface {
			runtime.Error
			Addr() uintptr
		}); ok {
			if name, offset, ok := m.files.find(at.Addr()); ok {
				err = malformed("%s: byte %d cannot be read: the file was shortened or its disk failed while the model was open", name, offset)
				return
			}
		}
		panic(r)
	}()
	return f()
}

// find returns the file that is mapped at an address.
func (fs *files) find(addr uintptr) (name string, offset uintptr, ok bool) {
	for _, m := range fs.maps {
		start := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
		if addr >= start && addr-start < uintptr(len(m.data)) {
			return m.name, addr - start, true
		}
	}
	return "", 0, false
}
