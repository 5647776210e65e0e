package opencl

import (
	"fmt"
	"strings"
	"unsafe"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// Keys of information about programs.
const (
	programBinarySizes = 0x1165
	programBinaries    = 0x1166
	buildLog           = 0x1183
)

// Load builds a module: from what an earlier run kept of it, else from its source. A
// binary that the driver refuses is made anew.
func (d *driver) Load(m gpu.Module) error {
	if d.programs[m.Name] != 0 {
		return nil
	}
	key := d.cache.key(m, d.options)
	if binary := d.cache.read(key); binary != nil {
		if p, err := d.fromBinary(binary); err == nil {
			d.programs[m.Name] = p
			return nil
		}
	}
	source := append([]byte(m.Source), 0)
	text := &[1]uintptr{uintptr(unsafe.Pointer(&source[0]))}
	p, err := d.api.make(createProgramWithSource, d.context, 1, uintptr(unsafe.Pointer(text)), 0)
	if err != nil {
		return err
	}
	keep(source)
	if err := d.build(p); err != nil {
		return err
	}
	d.programs[m.Name] = p
	if binary, err := d.binary(p); err == nil && len(binary) > 0 {
		d.cache.write(key, binary)
	}
	return nil
}

// build builds a program, or releases it and returns its log.
func (d *driver) build(p uintptr) error {
	options := append([]byte(d.options), 0)
	err := d.api.do(buildProgram, p, 1, uintptr(unsafe.Pointer(&d.id)), uintptr(unsafe.Pointer(&options[0])), 0, 0)
	if err == nil {
		return nil
	}
	log, _ := d.api.infoFor(getProgramBuildInfo, p, d.id, buildLog)
	_ = d.api.do(releaseProgram, p) // it is of no use, whatever becomes of it
	return fmt.Errorf("%w: they do not build on %s with %s: %w; its log:\n%s", runtime.ErrExecution, d.words(deviceName), d.options, err, strings.TrimSpace(text(log)))
}

// fromBinary makes a program of what binary returned.
func (d *driver) fromBinary(b []byte) (uintptr, error) {
	var state int32
	size := &[1]uintptr{uintptr(len(b))}
	address := &[1]uintptr{uintptr(unsafe.Pointer(&b[0]))}
	p, err := d.api.make(createProgramWithBinary, d.context, 1, uintptr(unsafe.Pointer(&d.id)), uintptr(unsafe.Pointer(size)),
		uintptr(unsafe.Pointer(address)), uintptr(unsafe.Pointer(&state)))
	keep(b)
	if err != nil {
		return 0, err
	}
	return p, d.build(p)
}

// binary returns what the driver made of a built program.
func (d *driver) binary(p uintptr) ([]byte, error) {
	sizes, err := d.api.info(getProgramInfo, p, programBinarySizes)
	if err != nil || len(sizes) != int(unsafe.Sizeof(uintptr(0))) {
		return nil, err
	}
	n := *(*uintptr)(unsafe.Pointer(&sizes[0]))
	if n == 0 || n > maxInfo {
		return nil, nil
	}
	b := make([]byte, n)
	address := &[1]uintptr{uintptr(unsafe.Pointer(&b[0]))}
	err = d.api.do(getProgramInfo, p, programBinaries, unsafe.Sizeof(*address), uintptr(unsafe.Pointer(address)), 0)
	keep(b)
	return b, err
}
