//go:build linux && !nogpu

package driver

import (
	"bytes"
	"fmt"
	goruntime "runtime"
	"strings"
	"unsafe"
)

// Module is code on the device, Function one kernel of it.
type (
	Module   uintptr
	Function uintptr
)

// Load compiles PTX for the device. The error of PTX that does not compile carries
// the compiler's log.
func (c *Context) Load(ptx []byte) (m Module, err error) {
	const errorLog, errorLogSize = 5, 6
	source := append(bytes.Clone(ptx), 0)
	log := make([]byte, 8192)
	keys := []int32{errorLog, errorLogSize}
	var hold goruntime.Pinner // the driver finds the log by its address in values
	hold.Pin(&log[0])
	defer hold.Unpin()
	values := []uintptr{uintptr(unsafe.Pointer(&log[0])), uintptr(len(log))}
	err = c.call("cuModuleLoadDataEx", c.lib.moduleLoadDataEx, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&source[0])),
		uintptr(len(keys)), uintptr(unsafe.Pointer(&keys[0])), uintptr(unsafe.Pointer(&values[0])))
	if e, ok := err.(*Error); ok { //nolint:errorlint // call returns it bare
		if n := bytes.IndexByte(log, 0); n > 0 {
			e.Log = strings.Join(strings.Fields(string(log[:n])), " ")
		}
	}
	return m, err
}

// Unload removes a module.
func (c *Context) Unload(m Module) error {
	return c.call("cuModuleUnload", c.lib.moduleUnload, uintptr(m))
}

// Function returns a kernel of a module. shared is how many bytes of dynamic
// shared memory its launches may ask for; 0 leaves the default.
func (c *Context) Function(m Module, name string, shared int) (f Function, err error) {
	zero := append([]byte(name), 0)
	if err := c.call("cuModuleGetFunction", c.lib.moduleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&zero[0]))); err != nil {
		return 0, fmt.Errorf("kernel %s: %w", name, err)
	}
	if shared > 48<<10 {
		const maxDynamicShared = 8
		err = c.call("cuFuncSetAttribute", c.lib.funcSetAttribute, uintptr(f), maxDynamicShared, uintptr(shared))
	}
	return f, err
}

// Args are a launch's arguments and the pointers to them that the driver reads.
type Args struct {
	values []uint64
	at     []unsafe.Pointer
}

// NewArgs returns a copy of arguments, each as its parameter lies in memory.
func NewArgs(args [][]byte) *Args {
	words := 1
	for _, a := range args {
		words += (len(a) + 15) / 16 * 2 // as vectors are aligned
	}
	a := &Args{values: make([]uint64, words), at: make([]unsafe.Pointer, max(len(args), 1))}
	next := 0
	if uintptr(unsafe.Pointer(&a.values[0]))%16 != 0 {
		next = 1
	}
	for i, arg := range args {
		a.at[i] = unsafe.Pointer(&a.values[next])
		copy(unsafe.Slice((*byte)(a.at[i]), (len(arg)+15)/16*16), arg)
		next += (len(arg) + 15) / 16 * 2
	}
	return a
}

// Launch queues a kernel over a grid of blocks of threads. The arguments are read
// before it returns.
func (c *Context) Launch(f Function, grid, block [3]int, shared int, s Stream, a *Args) error {
	return c.call("cuLaunchKernel", c.lib.launchKernel, uintptr(f), uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]),
		uintptr(block[0]), uintptr(block[1]), uintptr(block[2]), uintptr(shared), uintptr(s), uintptr(unsafe.Pointer(&a.at[0])), 0)
}
