//go:build linux && !nogpu

package cuda

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/ebitengine/purego"

	"mnnconv/graph"
	"mnnconv/runtime"
	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// cublasLt is NVIDIA's library of products, libcublasLt, as CUDA 12 and 13 have it.
type cublasLt struct {
	ltSymbols
	path    string
	version int // 130100 is 13.1.0
}

type ltSymbols struct {
	getVersion        uintptr `sym:"cublasLtGetVersion"`
	getStatusName     uintptr `sym:"cublasLtGetStatusName"`
	create            uintptr `sym:"cublasLtCreate"`
	destroy           uintptr `sym:"cublasLtDestroy"`
	descCreate        uintptr `sym:"cublasLtMatmulDescCreate"`
	descDestroy       uintptr `sym:"cublasLtMatmulDescDestroy"`
	descSet           uintptr `sym:"cublasLtMatmulDescSetAttribute"`
	layoutCreate      uintptr `sym:"cublasLtMatrixLayoutCreate"`
	layoutDestroy     uintptr `sym:"cublasLtMatrixLayoutDestroy"`
	preferenceCreate  uintptr `sym:"cublasLtMatmulPreferenceCreate"`
	preferenceDestroy uintptr `sym:"cublasLtMatmulPreferenceDestroy"`
	preferenceSet     uintptr `sym:"cublasLtMatmulPreferenceSetAttribute"`
	heuristic         uintptr `sym:"cublasLtMatmulAlgoGetHeuristic"`
	matmul            uintptr `sym:"cublasLtMatmul"`
}

// What cublasLt.h and library_types.h number.
const (
	ltNotSupported = 15 // of cublasStatus_t

	ltCompute32F = 68
	ltReal32F    = 0
	ltReal16F    = 2
	ltReal16BF   = 14

	ltTransA       = 3 // of cublasLtMatmulDescAttributes_t
	ltEpilogue     = 7
	ltBiasPointer  = 8
	ltTransposed   = 1
	ltEpilogueBias = 4

	ltMaxWorkspace = 1 // of cublasLtMatmulPreferenceAttributes_t
)

// ltWorkspace is how much scratch memory the library may ask for: NVIDIA's advice for
// Hopper.
const ltWorkspace = 32 << 20

// ltPlaces are where the wheels that PyTorch depends on have the library.
var ltPlaces = []string{"/usr/local/cuda*/lib64", "/usr/local/lib/python3*/*-packages/nvidia/*/lib", "/usr/lib/python3*/*-packages/nvidia/*/lib"}

// cublasLtVariable is the environment variable that leaves the library alone when it is
// "off".
const cublasLtVariable = "MNNCONV_CUBLASLT"

// openCublasLt finds the library. The error says what was looked for.
func openCublasLt() (*cublasLt, error) {
	if os.Getenv(cublasLtVariable) == "off" {
		return nil, errors.New(cublasLtVariable + " is off")
	}
	handle, path, err := driver.Dlopen(ltPlaces, "libcublasLt.so.13", "libcublasLt.so.12")
	if err != nil {
		return nil, err
	}
	l := &cublasLt{path: path}
	if err := driver.Bind(handle, &l.ltSymbols); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	v, _, _ := purego.SyscallN(l.getVersion)
	l.version = int(v)
	return l, nil
}

func (l *cublasLt) String() string {
	return fmt.Sprintf("cuBLASLt %d.%d.%d (%s)", l.version/10000, l.version/100%100, l.version%100, l.path)
}

// call is the only way into the library. What a uintptr among the arguments was converted
// from stays where it is for the call.
//
//go:uintptrescapes
func (l *cublasLt) call(name string, fn uintptr, args ...uintptr) error {
	r, _, _ := purego.SyscallN(fn, args...)
	if s := int32(r); s != 0 {
		return &ltError{name, s, l}
	}
	return nil
}

// ltError is a call of the library that failed.
type ltError struct {
	call   string
	status int32
	lib    *cublasLt
}

func (e *ltError) Error() string {
	name, _, _ := purego.SyscallN(e.lib.getStatusName, uintptr(e.status))
	return fmt.Sprintf("%s: %s (%d)", e.call, driver.Text(name), e.status)
}

// multiplier is the library on one device.
type multiplier struct {
	*cublasLt
	handle uintptr
	plans  map[gpu.Product]*ltPlan
}

// ltPlan is how the library computes one product; nil: it does not.
type ltPlan struct {
	desc, w, a, y uintptr
	found         ltResult
}

// ltResult is cublasLtMatmulHeuristicResult_t.
type ltResult struct {
	algo      [8]uint64
	workspace uint64
	state     int32
	waves     float32
	_         [4]int32
}

// Multiplies asks the library how it would compute a product, once for each. Of rows that
// do not begin at multiples of 16 bytes, version 13.1 rounds the sum of product and
// residual before it adds the bias: such are computed elsewhere, with one rounding.
func (d *device) Multiplies(p gpu.Product) (workspace int64, ok bool, err error) {
	unaligned := p.K*p.DType.Bits()%128 != 0
	if d.lt == nil || unaligned && p.Biased && p.Added {
		return 0, false, nil
	}
	plan, err := d.lt.plan(p)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %s: %w", runtime.ErrExecution, d.name, err)
	}
	if plan == nil {
		return 0, false, nil
	}
	return int64(plan.found.workspace), true, nil
}

func (m *multiplier) plan(p gpu.Product) (*ltPlan, error) {
	if plan, ok := m.plans[p]; ok {
		return plan, nil
	}
	if m.handle == 0 {
		if err := m.call("cublasLtCreate", m.create, uintptr(unsafe.Pointer(&m.handle))); err != nil {
			return nil, err
		}
	}
	plan := &ltPlan{}
	err := m.describe(plan, p)
	if err == nil {
		err = m.choose(plan)
	}
	var e *ltError
	switch {
	case errors.As(err, &e) && e.status == ltNotSupported:
		err = m.drop(plan)
		plan = nil
	case err != nil:
		return nil, errors.Join(err, m.drop(plan))
	}
	m.plans[p] = plan
	return plan, err
}

// describe writes the product down as the library has it, column by column: yᵀ = W·Aᵀ,
// where what lies row by row is transposed already.
func (m *multiplier) describe(plan *ltPlan, p gpu.Product) error {
	kind := map[graph.DType]uintptr{graph.Float32: ltReal32F, graph.Float16: ltReal16F, graph.BFloat16: ltReal16BF}[p.DType]
	if err := m.call("cublasLtMatmulDescCreate", m.descCreate, uintptr(unsafe.Pointer(&plan.desc)), ltCompute32F, ltReal32F); err != nil {
		return err
	}
	attributes := map[uintptr]int32{ltTransA: ltTransposed}
	if p.Biased {
		attributes[ltEpilogue] = ltEpilogueBias
	}
	for key, value := range attributes {
		if err := m.call("cublasLtMatmulDescSetAttribute", m.descSet, plan.desc, key, uintptr(unsafe.Pointer(&value)), 4); err != nil {
			return err
		}
	}
	if p.Biased {
		if err := m.bias(plan, align); err != nil { // an address as good as that to come
			return err
		}
	}
	for _, l := range []struct {
		into       *uintptr
		rows, cols int
	}{{&plan.w, p.K, p.N}, {&plan.a, p.K, p.M}, {&plan.y, p.N, p.M}} {
		if err := m.call("cublasLtMatrixLayoutCreate", m.layoutCreate, uintptr(unsafe.Pointer(l.into)), kind, uintptr(l.rows), uintptr(l.cols), uintptr(l.rows)); err != nil {
			return err
		}
	}
	return nil
}

func (m *multiplier) bias(plan *ltPlan, at uintptr) error {
	return m.call("cublasLtMatmulDescSetAttribute", m.descSet, plan.desc, ltBiasPointer, uintptr(unsafe.Pointer(&at)), unsafe.Sizeof(at))
}

// choose takes the library's first proposal.
func (m *multiplier) choose(plan *ltPlan) error {
	var preference uintptr
	if err := m.call("cublasLtMatmulPreferenceCreate", m.preferenceCreate, uintptr(unsafe.Pointer(&preference))); err != nil {
		return err
	}
	most := uint64(ltWorkspace)
	err := m.call("cublasLtMatmulPreferenceSetAttribute", m.preferenceSet, preference, ltMaxWorkspace, uintptr(unsafe.Pointer(&most)), 8)
	if err == nil {
		var n int32
		err = m.call("cublasLtMatmulAlgoGetHeuristic", m.heuristic, m.handle, plan.desc, plan.w, plan.a, plan.y, plan.y, preference, 1,
			uintptr(unsafe.Pointer(&plan.found)), uintptr(unsafe.Pointer(&n)))
		if err == nil && (n != 1 || plan.found.state != 0) {
			err = &ltError{"cublasLtMatmulAlgoGetHeuristic", ltNotSupported, m.cublasLt}
		}
	}
	return errors.Join(err, m.call("cublasLtMatmulPreferenceDestroy", m.preferenceDestroy, preference))
}

// ltLaunch is a product with its operands.
type ltLaunch struct {
	plan        *ltPlan
	at          [6]uintptr // as gpu.Command lists them; 0: absent
	alpha, beta float32
}

// bind binds a product that Multiplies took.
func (m *multiplier) bind(c *gpu.Command) (*ltLaunch, error) {
	plan, err := m.plan(*c.Product)
	if err != nil || plan == nil {
		return nil, errors.Join(fmt.Errorf("%w: %s does not take this product", runtime.ErrExecution, m), err)
	}
	l := &ltLaunch{plan: plan, alpha: c.Product.Alpha}
	for i, a := range c.Args {
		if a.Memory != nil {
			l.at[i] = address(a.Memory) + uintptr(a.Offset)
		}
	}
	if c.Product.Added {
		l.beta = 1
	}
	return l, nil
}

// launch queues the product.
func (m *multiplier) launch(l *ltLaunch, s driver.Stream) error {
	w, a, bias, c, y, workspace := l.at[1], l.at[0], l.at[2], l.at[3], l.at[4], l.at[5]
	if bias != 0 {
		if err := m.bias(l.plan, bias); err != nil {
			return err
		}
	}
	if c == 0 {
		c = y // times 0
	}
	p := l.plan
	return m.call("cublasLtMatmul", m.matmul, m.handle, p.desc, uintptr(unsafe.Pointer(&l.alpha)), w, p.w, a, p.a, uintptr(unsafe.Pointer(&l.beta)),
		c, p.y, y, p.y, uintptr(unsafe.Pointer(&p.found.algo)), workspace, uintptr(p.found.workspace), uintptr(s))
}

// drop releases what the library holds for a product.
func (m *multiplier) drop(p *ltPlan) error {
	var errs []error
	if p.desc != 0 {
		errs = append(errs, m.call("cublasLtMatmulDescDestroy", m.descDestroy, p.desc))
	}
	for _, layout := range []uintptr{p.w, p.a, p.y} {
		if layout != 0 {
			errs = append(errs, m.call("cublasLtMatrixLayoutDestroy", m.layoutDestroy, layout))
		}
	}
	return errors.Join(errs...)
}

// close releases everything.
func (m *multiplier) close() error {
	var errs []error
	for _, p := range m.plans {
		if p != nil {
			errs = append(errs, m.drop(p))
		}
	}
	if m.handle != 0 {
		errs = append(errs, m.call("cublasLtDestroy", m.destroy, m.handle))
	}
	return errors.Join(errs...)
}
