//go:build linux && !nogpu

package cuda

import (
	"fmt"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// module is loaded code.
type module struct {
	module    driver.Module
	functions map[string]driver.Function
}

// Load has the driver compile a module's PTX.
func (d *device) Load(m gpu.Module) error {
	ptx, err := PTX(m)
	if err != nil {
		return err
	}
	return d.load(m.Name, ptx)
}

func (d *device) load(name string, ptx []byte) error {
	loaded, err := d.ctx.Load(ptx)
	if err != nil {
		return d.sentinel(err)
	}
	d.modules[name] = module{loaded, map[string]driver.Function{}}
	return nil
}

// function returns a kernel of a loaded module.
func (d *device) function(name, kernel string) (driver.Function, error) {
	m, ok := d.modules[name]
	if !ok {
		return 0, fmt.Errorf("%w: %s: kernels %s were not loaded", runtime.ErrExecution, d.name, name)
	}
	if f, ok := m.functions[kernel]; ok {
		return f, nil
	}
	f, err := d.ctx.Function(m.module, kernel, 0)
	if err != nil {
		return 0, d.sentinel(err)
	}
	m.functions[kernel] = f
	return f, nil
}
