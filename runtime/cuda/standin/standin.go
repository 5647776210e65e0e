//go:build linux && !nogpu

// Package standin builds libraries that stand in for NVIDIA's on a machine without a
// GPU: libcuda.so.1 and libcublasLt.so.12, in C, with the project's own kernels
// compiled for the host. It needs a C compiler. Tests use it.
package standin

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"mnnconv/runtime/gpu"
)

//go:embed src
var sources embed.FS

// Variable names the environment variable by which the libraries in a folder are
// found.
const Variable = "MNNCONV_CUDA_LIBRARIES"

// Build writes the libraries to a folder.
func Build(dir string) (err error) {
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.CopyFS(work, sources); err != nil {
		return err
	}
	b := builder{src: filepath.Join(work, "src")}
	modules := slices.Sorted(slices.Values(gpu.Modules()))
	if err := os.WriteFile(filepath.Join(b.src, "tables.c"), []byte(tables(modules)), 0o600); err != nil {
		return err
	}
	files := []string{"libcuda", "rest", "group", "tables"}
	for _, name := range modules {
		files = append(files, "kernels_"+name)
	}
	var all errgroup.Group
	all.SetLimit(goruntime.GOMAXPROCS(0))
	for i, file := range files {
		all.Go(func() error {
			if i >= len(files)-len(modules) {
				if err := b.translate(modules[i-len(files)+len(modules)], file); err != nil {
					return err
				}
			}
			_, err := b.cc("-c", "-o", file+".o", file+".c")
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	args := []string{"-shared", "-Wl,-soname,libcuda.so.1", "-o", filepath.Join(dir, "libcuda.so.1")}
	for _, file := range files {
		args = append(args, file+".o")
	}
	if _, err := b.cc(append(args, "-lm")...); err != nil {
		return err
	}
	if err := os.Symlink("libcuda.so.1", filepath.Join(dir, "libcuda.so")); err != nil { // for those who link with it
		return err
	}
	_, err = b.cc("-shared", "-o", filepath.Join(dir, "libcublasLt.so.12"), "libcublaslt.c", filepath.Join(dir, "libcuda.so.1"), "-Wl,-rpath,$ORIGIN")
	return err
}

// builder runs the C compiler in the folder of the sources.
type builder struct{ src string }

func (b builder) cc(args ...string) ([]byte, error) {
	cc := "cc"
	if set := os.Getenv("CC"); set != "" {
		cc = set
	}
	c := exec.Command(cc, append([]string{"-O2", "-march=native", "-ffp-contract=off", "-fPIC", "-pthread", "-Wall", "-Wno-unused-function",
		"-Wno-unused-variable", "-Wno-unknown-pragmas"}, args...)...)
	c.Dir = b.src
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", c.Args, err, &stderr)
	}
	return out, nil
}

// kernel is one as the preprocessor leaves it, see group.h.
var kernel = regexp.MustCompile(`\bGROUP_KERNEL\s+void\s+(\w+)\s*\(([^)]*)\)`)

// translate writes a module's source with, for each of its kernels, a function that
// takes arguments as the driver has them.
func (b builder) translate(module, file string) error {
	m, err := gpu.ModuleOf(module)
	if err != nil {
		return err
	}
	text := "#define STANDIN 1\n" + m.Source + "\n#include \"entries.h\"\n"
	file = filepath.Join(b.src, file+".c")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	flat, err := b.cc("-E", "-P", "-DSHOW_KERNELS", file)
	if err != nil {
		return err
	}
	var calls, table strings.Builder
	for _, k := range kernel.FindAllStringSubmatch(string(flat), -1) {
		name := k[1]
		var sizes, pass []string
		pointers := 0
		for i, p := range strings.Split(k[2], ",") {
			p = strings.TrimSpace(p)
			at := strings.LastIndexAny(p, " *")
			if at < 0 {
				return fmt.Errorf("kernels %s: %s: parameter %q is not understood", module, name, p)
			}
			t := strings.TrimSpace(p[:at+1])
			if strings.Contains(t, "*") {
				pointers |= 1 << i
			}
			sizes = append(sizes, fmt.Sprintf("sizeof(%s)", t))
			pass = append(pass, fmt.Sprintf("*(%s*)a[%d]", t, i))
		}
		fmt.Fprintf(&calls, "static void call_%s(void **a) { %s(%s); }\n", name, name, strings.Join(pass, ", "))
		fmt.Fprintf(&table, "  {\"%s\", call_%s, %d, %#x, {%s}},\n", name, name, len(sizes), pointers, strings.Join(sizes, ", "))
	}
	if table.Len() == 0 {
		return fmt.Errorf("kernels %s: there is none", module)
	}
	text += fmt.Sprintf("%sconst struct entry entries_%s[] = {\n%s  {0}};\n", &calls, module, &table)
	return os.WriteFile(file, []byte(text), 0o600)
}

// tables lists the tables of all modules.
func tables(modules []string) string {
	var b strings.Builder
	b.WriteString("#include \"entries.h\"\n")
	for _, t := range modules {
		fmt.Fprintf(&b, "extern const struct entry entries_%s[];\n", t)
	}
	b.WriteString("const struct table standin_tables[] = {\n")
	for _, t := range modules {
		fmt.Fprintf(&b, "  {\"%s\", entries_%s},\n", t, t)
	}
	b.WriteString("  {0}};\n")
	return b.String()
}
