package opencl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"mnnconv/runtime"
)

// entry numbers the entry points that are used.
type entry int

// The entry points.
const (
	getPlatformIDs entry = iota
	getPlatformInfo
	getDeviceIDs
	getDeviceInfo
	createContext
	releaseContext
	createCommandQueue
	releaseCommandQueue
	createBuffer
	createSubBuffer
	releaseMemObject
	createProgramWithSource
	createProgramWithBinary
	releaseProgram
	buildProgram
	getProgramInfo
	getProgramBuildInfo
	createKernel
	releaseKernel
	setKernelArg
	getKernelWorkGroupInfo
	enqueueNDRangeKernel
	enqueueReadBuffer
	enqueueWriteBuffer
	enqueueCopyBuffer
	enqueueFillBuffer
	enqueueMapBuffer
	enqueueUnmapMemObject
	enqueueMarkerWithWaitList
	flush
	finish
	waitForEvents
	getEventInfo
	getEventProfilingInfo
	releaseEvent
	entries // how many there are
)

var entryNames = [entries]string{
	"clGetPlatformIDs", "clGetPlatformInfo", "clGetDeviceIDs", "clGetDeviceInfo", "clCreateContext", "clReleaseContext",
	"clCreateCommandQueue", "clReleaseCommandQueue", "clCreateBuffer", "clCreateSubBuffer", "clReleaseMemObject",
	"clCreateProgramWithSource", "clCreateProgramWithBinary", "clReleaseProgram", "clBuildProgram", "clGetProgramInfo",
	"clGetProgramBuildInfo", "clCreateKernel", "clReleaseKernel", "clSetKernelArg", "clGetKernelWorkGroupInfo",
	"clEnqueueNDRangeKernel", "clEnqueueReadBuffer", "clEnqueueWriteBuffer", "clEnqueueCopyBuffer", "clEnqueueFillBuffer",
	"clEnqueueMapBuffer", "clEnqueueUnmapMemObject", "clEnqueueMarkerWithWaitList", "clFlush", "clFinish", "clWaitForEvents",
	"clGetEventInfo", "clGetEventProfilingInfo", "clReleaseEvent",
}

// api is an opened library.
type api struct {
	path      string
	lib       uintptr
	table     []uintptr // of a vendor's library, in icdOrder; nil: a loader exports them
	at        [entries]uintptr
	platforms []uintptr // nil: ask for them
}

// open opens the first library that is there and has platforms.
func open(names []string) (*api, error) {
	if len(names) == 0 {
		names = candidates
	}
	var errs []error
	for _, name := range names {
		a, err := openOne(name)
		if err == nil {
			return a, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%w: no OpenCL: %w", runtime.ErrUnavailable, joined(errs))
}

// joined puts errors in one line.
func joined(errs []error) error {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

func openOne(name string) (*api, error) {
	lib, err := openLibrary(name)
	if err != nil {
		return nil, err
	}
	a := &api{path: name, lib: lib}
	for e, s := range entryNames {
		if a.at[e], err = symbol(lib, s); err != nil {
			return a, a.dispatch(lib)
		}
	}
	if a.platforms, err = a.listPlatforms(a.at[getPlatformIDs]); err != nil || len(a.platforms) == 0 {
		return nil, fmt.Errorf("%s has no platform (ICD files are looked for in /etc/OpenCL/vendors or OCL_ICD_VENDORS): %w", name, cmpError(err))
	}
	return a, nil
}

func cmpError(err error) error {
	if err == nil {
		return errors.New("none listed")
	}
	return err
}

// dispatch takes the entry points from the dispatch table that the first word of every
// object of a vendor's library points to: without a loader nothing else exports them.
func (a *api) dispatch(lib uintptr) error {
	list, err := symbol(lib, "clIcdGetPlatformIDsKHR")
	if err != nil {
		ext, err2 := symbol(lib, "clGetExtensionFunctionAddress")
		if err2 != nil {
			return fmt.Errorf("%s is no OpenCL driver: %w", a.path, err)
		}
		name := []byte("clIcdGetPlatformIDsKHR\x00")
		if list = call(ext, uintptr(unsafe.Pointer(&name[0]))); list == 0 {
			return fmt.Errorf("%s exports no clIcdGetPlatformIDsKHR", a.path)
		}
	}
	if a.platforms, err = a.listPlatforms(list); err != nil || len(a.platforms) == 0 {
		return fmt.Errorf("%s has no platform: %w", a.path, cmpError(err))
	}
	a.table = words(words(a.platforms[0], 1)[0], len(icdOrder))
	for e, s := range entryNames {
		a.at[e] = a.table[slices.Index(icdOrder, s)]
		if a.at[e] == 0 {
			return fmt.Errorf("%s lacks %s", a.path, s)
		}
	}
	return nil
}

// lookUp returns an entry point that not every library has, of a device that claims what
// it is for; 0: there is none.
func (a *api) lookUp(platform uintptr, name string) uintptr {
	find := func(name string) uintptr {
		if i := slices.Index(icdOrder, name); i >= 0 && a.table != nil {
			return a.table[i]
		}
		at, err := symbol(a.lib, name)
		if err != nil {
			return 0
		}
		return at
	}
	if at := find(name); at != 0 {
		return at
	}
	ask := find("clGetExtensionFunctionAddressForPlatform")
	if ask == 0 {
		return 0
	}
	text := append([]byte(name), 0)
	return call(ask, platform, uintptr(unsafe.Pointer(&text[0])))
}

// words is foreign memory at an address, as n words.
func words(address uintptr, n int) []uintptr {
	return unsafe.Slice((*uintptr)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), n)
}

func (a *api) listPlatforms(list uintptr) ([]uintptr, error) {
	var n uint32
	if code := int32(call(list, 0, 0, uintptr(unsafe.Pointer(&n)))); code != 0 {
		return nil, status("clGetPlatformIDs", code)
	}
	const most = 64
	n = min(n, most)
	if n == 0 {
		return nil, nil
	}
	out := make([]uintptr, n)
	return out, status("clGetPlatformIDs", int32(call(list, uintptr(n), uintptr(unsafe.Pointer(&out[0])), 0)))
}

// call calls a C function. What its arguments point to lives, and stays, until it
// returns: conversions to uintptr stand in the call itself.
//
//go:uintptrescapes
func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}

// do calls an entry point that returns a status.
//
//go:uintptrescapes
func (a *api) do(e entry, args ...uintptr) error {
	r, _, _ := purego.SyscallN(a.at[e], args...)
	if int32(r) == 0 {
		return nil
	}
	return status(entryNames[e], int32(r))
}

// make calls an entry point that returns an object and stores its status behind its last
// argument.
//
//go:uintptrescapes
func (a *api) make(e entry, args ...uintptr) (uintptr, error) {
	code := codes.Get().(*int32) // on the heap, which does not move
	defer codes.Put(code)
	*code = 0
	r, _, _ := purego.SyscallN(a.at[e], append(args, uintptr(unsafe.Pointer(code)))...)
	if *code == 0 && r == 0 {
		*code = invalidValue
	}
	return r, status(entryNames[e], *code)
}

var codes = sync.Pool{New: func() any { return new(int32) }}

// Status codes that are told apart.
const (
	memObjectAllocationFailure = -4
	outOfResources             = -5
	outOfHostMemory            = -6
	buildProgramFailure        = -11
	deviceNotAvailable         = -2
	invalidValue               = -30
	invalidBufferSize          = -61
	platformNotFound           = -1001
	deviceNotFound             = -1
	execStatusError            = -14
	invalidContext             = -34
	invalidQueue               = -36
	nvidiaFault                = -9999 // an illegal address, say
)

var statusNames = map[int32]string{
	-1: "CL_DEVICE_NOT_FOUND", -2: "CL_DEVICE_NOT_AVAILABLE", -3: "CL_COMPILER_NOT_AVAILABLE", -4: "CL_MEM_OBJECT_ALLOCATION_FAILURE",
	-5: "CL_OUT_OF_RESOURCES", -6: "CL_OUT_OF_HOST_MEMORY", -7: "CL_PROFILING_INFO_NOT_AVAILABLE", -9: "CL_IMAGE_FORMAT_MISMATCH",
	-11: "CL_BUILD_PROGRAM_FAILURE", -13: "CL_MISALIGNED_SUB_BUFFER_OFFSET", -14: "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
	-30: "CL_INVALID_VALUE", -33: "CL_INVALID_DEVICE", -34: "CL_INVALID_CONTEXT", -36: "CL_INVALID_COMMAND_QUEUE", -38: "CL_INVALID_MEM_OBJECT",
	-42: "CL_INVALID_BINARY", -44: "CL_INVALID_PROGRAM", -45: "CL_INVALID_PROGRAM_EXECUTABLE", -46: "CL_INVALID_KERNEL_NAME", -48: "CL_INVALID_KERNEL",
	-49: "CL_INVALID_ARG_INDEX", -50: "CL_INVALID_ARG_VALUE", -51: "CL_INVALID_ARG_SIZE", -52: "CL_INVALID_KERNEL_ARGS", -54: "CL_INVALID_WORK_GROUP_SIZE",
	-57: "CL_INVALID_EVENT_WAIT_LIST", -58: "CL_INVALID_EVENT", -61: "CL_INVALID_BUFFER_SIZE", -1001: "CL_PLATFORM_NOT_FOUND_KHR",
}

// status is the error of a status code, or nil.
func status(what string, code int32) error {
	if code == 0 {
		return nil
	}
	kind := runtime.ErrExecution
	switch code {
	case memObjectAllocationFailure, outOfHostMemory, invalidBufferSize:
		kind = runtime.ErrMemory
	case deviceNotAvailable, deviceNotFound, platformNotFound:
		kind = runtime.ErrUnavailable
	case invalidContext, invalidQueue, nvidiaFault:
		kind = runtime.ErrLost
	case outOfResources, execStatusError:
		if what == entryNames[finish] || what == entryNames[waitForEvents] { // of what was queued before
			kind = runtime.ErrLost
		}
	}
	if code == deviceNotAvailable && (strings.HasPrefix(what, "clEnqueue") || strings.HasPrefix(what, "clWait") || strings.HasPrefix(what, "clFinish")) {
		kind = runtime.ErrLost
	}
	name := statusNames[code]
	if name == "" {
		name = "OpenCL error"
	}
	return fmt.Errorf("%w: %s: %s (%d)", kind, what, name, code)
}

// maxInfo bounds what an information function may tell, in bytes.
const maxInfo = 64 << 20

// info returns what an information function tells of an object.
func (a *api) info(e entry, object uintptr, key uint32) ([]byte, error) {
	var n uintptr
	if err := a.do(e, object, uintptr(key), 0, 0, uintptr(unsafe.Pointer(&n))); err != nil || n == 0 || n > maxInfo {
		return nil, err
	}
	b := make([]byte, n)
	return b, a.do(e, object, uintptr(key), n, uintptr(unsafe.Pointer(&b[0])), 0)
}

// infoFor is info of an object for one device.
func (a *api) infoFor(e entry, object, device uintptr, key uint32) ([]byte, error) {
	var n uintptr
	if err := a.do(e, object, device, uintptr(key), 0, 0, uintptr(unsafe.Pointer(&n))); err != nil || n == 0 || n > maxInfo {
		return nil, err
	}
	b := make([]byte, n)
	return b, a.do(e, object, device, uintptr(key), n, uintptr(unsafe.Pointer(&b[0])), 0)
}
