//go:build linux

// Ptxgen compiles the kernels' source with NVRTC and writes the PTX that package
// cuda embeds. It is run by go generate, from runtime/cuda.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"unsafe"

	"github.com/ebitengine/purego"

	"mnnconv/runtime/cuda/internal/stamp"
	"mnnconv/runtime/gpu"
)

func main() {
	library := flag.String("nvrtc", "", "the `file` libnvrtc.so.12")
	check := flag.Bool("check", false, "compare with what is there instead of writing")
	dir := flag.String("o", "ptx", "the `folder` to write")
	flag.Parse()
	if err := run(*library, *dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "ptxgen:", err)
		os.Exit(1)
	}
}

func run(library, dir string, check bool) error {
	c, err := open(library)
	if err != nil {
		return err
	}
	want := map[string]bool{}
	for _, name := range gpu.Modules() {
		m, err := gpu.ModuleOf(name)
		if err != nil {
			return err
		}
		ptx, err := c.compile(m)
		if err != nil {
			return err
		}
		ptx = append([]byte(stamp.Of(m)), ptx...)
		file := filepath.Join(dir, m.Name+".ptx.gz")
		want[file] = true
		if !check {
			if err := write(file, ptx); err != nil {
				return err
			}
			continue
		}
		have, err := read(file)
		if err != nil {
			return err
		}
		if !bytes.Equal(numbers.ReplaceAll(have, nil), numbers.ReplaceAll(ptx, nil)) {
			return fmt.Errorf("%s is not what its source compiles to: run go generate ./runtime/cuda", file)
		}
	}
	have, err := filepath.Glob(filepath.Join(dir, "*.ptx.gz"))
	if err != nil {
		return err
	}
	for _, file := range have {
		switch {
		case want[file]:
		case check:
			return fmt.Errorf("%s has no source", file)
		default:
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbers are those of registers: NVRTC gives two equal runs different ones.
var numbers = regexp.MustCompile(`%[a-z]+[0-9]+|%[a-z]+<[0-9]+>`)

func write(file string, ptx []byte) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(ptx); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return io.ReadAll(z)
}

// compiler is NVRTC.
type compiler struct {
	create, compileProgram, logSize, log, size, ptx, destroy uintptr
}

func open(library string) (*compiler, error) {
	h, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, err
	}
	c := &compiler{}
	for name, into := range map[string]*uintptr{
		"nvrtcCreateProgram": &c.create, "nvrtcCompileProgram": &c.compileProgram, "nvrtcGetProgramLogSize": &c.logSize,
		"nvrtcGetProgramLog": &c.log, "nvrtcGetPTXSize": &c.size, "nvrtcGetPTX": &c.ptx, "nvrtcDestroyProgram": &c.destroy,
	} {
		if *into, err = purego.Dlsym(h, name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

//go:uintptrescapes
func call(what string, fn uintptr, args ...uintptr) error {
	if r, _, _ := purego.SyscallN(fn, args...); int32(r) != 0 {
		return fmt.Errorf("%s: status %d", what, int32(r))
	}
	return nil
}

func (c *compiler) compile(m gpu.Module) (ptx []byte, err error) {
	source, name, option := append([]byte(m.Source), 0), append([]byte(m.Name+".cu"), 0), []byte("--gpu-architecture=compute_80\x00")
	var program uintptr
	if err := call("nvrtcCreateProgram", c.create, uintptr(unsafe.Pointer(&program)), uintptr(unsafe.Pointer(&source[0])), uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, call("nvrtcDestroyProgram", c.destroy, uintptr(unsafe.Pointer(&program))))
	}()
	options := new([1]unsafe.Pointer)
	options[0] = unsafe.Pointer(&option[0])
	built := call("nvrtcCompileProgram", c.compileProgram, program, 1, uintptr(unsafe.Pointer(options)))
	if built != nil {
		log, err := c.text(c.logSize, c.log, program)
		return nil, errors.Join(fmt.Errorf("%s: %w:\n%s", m.Name, built, log), err)
	}
	return c.text(c.size, c.ptx, program)
}

// text fetches a string of which the library tells the size, its zero included.
func (c *compiler) text(size, get, program uintptr) ([]byte, error) {
	var n int
	if err := call("nvrtc size", size, program, uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, err
	}
	b := make([]byte, max(n, 1))
	if err := call("nvrtc text", get, program, uintptr(unsafe.Pointer(&b[0]))); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b, "\x00"), nil
}
