//go:build linux && !nogpu

package cuda

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda/internal/stamp"
	"mnnconv/runtime/gpu"
)

// The kernels' source, compiled for compute_80 by NVRTC 12.4, whose PTX every
// driver since CUDA 12.4 loads.
//
//go:generate ./generate.sh

//go:embed ptx/*.ptx.gz
var compiled embed.FS

// PTX returns what a module was compiled to. PTX of another source is an error: it
// was not made anew.
func PTX(m gpu.Module) ([]byte, error) {
	f, err := compiled.Open("ptx/" + m.Name + ".ptx.gz")
	if err != nil {
		return nil, fmt.Errorf("%w: kernels %s have no PTX: run go generate ./runtime/cuda", runtime.ErrExecution, m.Name)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("ptx/%s.ptx.gz: %w", m.Name, err)
	}
	ptx, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("ptx/%s.ptx.gz: %w", m.Name, err)
	}
	if mark := stamp.Of(m); !bytes.HasPrefix(ptx, []byte(mark)) {
		return nil, fmt.Errorf("%w: the PTX of kernels %s is of another source: run go generate ./runtime/cuda", runtime.ErrExecution, m.Name)
	}
	return ptx, nil
}
