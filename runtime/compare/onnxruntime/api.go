package onnxruntime

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"mnnconv/graph"
	"mnnconv/runtime"
)

// Arguments of calls, as onnxruntime_c_api.h numbers them.
const (
	apiVersion      = 1
	functions       = 102 // of version 1: all that is used here
	logErrors       = 3   // ORT_LOGGING_LEVEL_ERROR
	optimizeNothing = 0   // ORT_DISABLE_ALL
	deviceAllocator = 0
	defaultMemory   = 0
)

// api are functions of OrtApi. Those that can fail return a status, 0 where they
// did not.
type api struct {
	version string

	errorMessage         func(status uintptr) string
	createEnv            func(level int32, id string, env *uintptr) uintptr
	createSession        func(env uintptr, model []byte, size uintptr, options uintptr, session *uintptr) uintptr
	runSession           func(session, options uintptr, names []*byte, values []uintptr, n uintptr, outputs []*byte, m uintptr, results []uintptr) uintptr
	createOptions        func(options *uintptr) uintptr
	setOptimization      func(options uintptr, level int32) uintptr
	createTensor         func(memory uintptr, data []byte, size uintptr, shape []int64, rank uintptr, dtype int32, value *uintptr) uintptr
	tensorData           func(value uintptr, data *unsafe.Pointer) uintptr
	elementType          func(info uintptr, dtype *int32) uintptr
	dimensionsCount      func(info uintptr, rank *uintptr) uintptr
	dimensions           func(info uintptr, shape []int64, rank uintptr) uintptr
	typeAndShape         func(value uintptr, info *uintptr) uintptr
	createCPUMemory      func(allocator, kind int32, memory *uintptr) uintptr
	releaseEnv           func(uintptr)
	releaseStatus        func(uintptr)
	releaseMemory        func(uintptr)
	releaseSession       func(uintptr)
	releaseValue         func(uintptr)
	releaseTypeAndShape  func(uintptr)
	releaseSessionOption func(uintptr)
}

// bind gives each function its place in the table, which never changes: new ones
// come behind.
func (a *api) bind(table *[functions]uintptr) {
	for at, f := range map[int]any{
		2: &a.errorMessage, 3: &a.createEnv, 8: &a.createSession, 9: &a.runSession, 10: &a.createOptions, 23: &a.setOptimization,
		49: &a.createTensor, 51: &a.tensorData, 60: &a.elementType, 61: &a.dimensionsCount, 62: &a.dimensions, 65: &a.typeAndShape,
		69: &a.createCPUMemory, 92: &a.releaseEnv, 93: &a.releaseStatus, 94: &a.releaseMemory, 95: &a.releaseSession,
		96: &a.releaseValue, 99: &a.releaseTypeAndShape, 100: &a.releaseSessionOption,
	} {
		purego.RegisterFunc(f, table[at])
	}
}

// openAPI opens the library at path, or one of the usual names.
func openAPI(path string) (*api, error) {
	names := usual
	if path != "" {
		names = []string{path}
	}
	var tried []string
	for _, name := range names {
		lib, err := openLibrary(name)
		var base uintptr
		if err == nil {
			base, err = symbol(lib, "OrtGetApiBase")
		}
		if err != nil {
			tried = append(tried, fmt.Sprintf("%s (%v)", name, err))
			continue
		}
		var getBase func() *struct{ getAPI, version uintptr }
		purego.RegisterFunc(&getBase, base)
		var getAPI func(version uint32) *[functions]uintptr
		var version func() string
		purego.RegisterFunc(&getAPI, getBase().getAPI)
		purego.RegisterFunc(&version, getBase().version)
		table := getAPI(apiVersion)
		if table == nil {
			tried = append(tried, name+" (it lacks version 1 of its API)")
			continue
		}
		a := &api{version: version()}
		a.bind(table)
		return a, nil
	}
	return nil, fmt.Errorf("%w: onnxruntime's library: tried %s; name it with --reference onnxruntime=FILE", runtime.ErrUnavailable, strings.Join(tried, ", "))
}

// check makes an error of a status.
func (a *api) check(status uintptr) error {
	if status == 0 {
		return nil
	}
	defer a.releaseStatus(status)
	return fmt.Errorf("%w: onnxruntime %s: %s", runtime.ErrExecution, a.version, a.errorMessage(status))
}

// session loads a model with the optimiser off.
func (a *api) session(env uintptr, model []byte) (session uintptr, err error) {
	var options uintptr
	if err := a.check(a.createOptions(&options)); err != nil {
		return 0, err
	}
	defer a.releaseSessionOption(options)
	if err := a.check(a.setOptimization(options, optimizeNothing)); err != nil {
		return 0, err
	}
	return session, a.check(a.createSession(env, model, uintptr(len(model)), options, &session))
}

// run runs a session over named tensors and returns those of the outputs.
func (a *api) run(session, memory uintptr, inputs map[string]*graph.Tensor, outputs []string) ([]*graph.Tensor, error) {
	var values []uintptr
	results := make([]uintptr, len(outputs))
	defer func() {
		for _, v := range append(values, results...) {
			if v != 0 {
				a.releaseValue(v)
			}
		}
	}()
	var pinned goruntime.Pinner // what the library is given only the address of
	defer pinned.Unpin()
	name := func(s string) *byte {
		b := append([]byte(s), 0)
		pinned.Pin(&b[0])
		return &b[0]
	}
	var names []*byte
	for n, t := range inputs {
		shape := append(append([]int64{}, t.Shape...), 0) // a scalar's needs an address too
		data := t.Data
		if len(data) == 0 {
			data = make([]byte, 8)
		}
		pinned.Pin(&data[0])
		var v uintptr
		if err := a.check(a.createTensor(memory, data, uintptr(len(t.Data)), shape, uintptr(len(t.Shape)), int32(t.DType), &v)); err != nil {
			return nil, fmt.Errorf("input %q: %w", n, err)
		}
		values, names = append(values, v), append(names, name(n))
	}
	var wanted []*byte
	for _, n := range outputs {
		wanted = append(wanted, name(n))
	}
	if err := a.check(a.runSession(session, 0, names, values, uintptr(len(values)), wanted, uintptr(len(wanted)), results)); err != nil {
		return nil, err
	}
	tensors := make([]*graph.Tensor, len(results))
	for i, v := range results {
		var err error
		if tensors[i], err = a.tensor(v); err != nil {
			return nil, fmt.Errorf("output %q: %w", outputs[i], err)
		}
	}
	return tensors, nil
}

// tensor copies a value of the library's.
func (a *api) tensor(v uintptr) (*graph.Tensor, error) {
	var info, rank uintptr
	var dtype int32
	if err := a.check(a.typeAndShape(v, &info)); err != nil {
		return nil, err
	}
	defer a.releaseTypeAndShape(info)
	if err := a.check(a.elementType(info, &dtype)); err != nil {
		return nil, err
	}
	if err := a.check(a.dimensionsCount(info, &rank)); err != nil {
		return nil, err
	}
	shape := make([]int64, rank+1)
	if err := a.check(a.dimensions(info, shape, rank)); err != nil {
		return nil, err
	}
	t, err := graph.NewTensor(graph.DType(dtype), shape[:rank]...) // dtypes are numbered as in ONNX
	if err != nil || len(t.Data) == 0 {
		return t, err
	}
	var data unsafe.Pointer
	if err := a.check(a.tensorData(v, &data)); err != nil {
		return nil, err
	}
	copy(t.Data, unsafe.Slice((*byte)(data), len(t.Data)))
	return t, nil
}
