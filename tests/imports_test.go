package tests

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "mnnconv"

// layer says which packages of this module a package may import. A pattern that
// ends in /... stands for a folder and all below it.
type layer struct {
	pkg string
	may []string
}

// layers are the rules: the first that matches a package is its own. What an
// internal folder holds counts as part of the folder it is in, and so do a
// backend's subfolders. Tests may import what the compiler lets them.
var layers = []layer{
	{"graph", nil},
	{"schemas/op", []string{"graph"}},
	{"schemas/disk", nil},
	{"schemas/jsonkeys", nil},
	{"schemas/onnx", []string{"graph", "schemas/disk"}},
	{"schemas/npy", []string{"graph", "schemas/disk"}},
	{"schemas/pack", []string{"graph", "schemas/disk", "schemas/jsonkeys", "schemas/onnx", "partition"}},
	{"passes/...", []string{"graph", "schemas/op", "passes/..."}},
	{"partition", []string{"graph", "schemas/op", "schemas/jsonkeys"}},
	{"runtime", []string{"graph", "schemas/op", "partition", "runtime/trace"}},
	{"runtime/trace", nil},
	{"runtime/host", []string{"graph", "schemas/op"}},
	{"runtime/compare", []string{"graph", "schemas/op", "partition", "runtime"}},
	{"runtime/gpu", []string{"graph", "schemas/op", "partition", "runtime"}},
	{"runtime/...", []string{"graph", "schemas/op", "partition", "runtime", "runtime/host", "runtime/gpu"}}, // a backend
	{"models/...", []string{"graph", "schemas/...", "passes/...", "partition", "runtime", "runtime/host", "runtime/trace", "models/..."}},
	{".", []string{"graph", "schemas/...", "passes/...", "partition", "runtime", "runtime/host", "runtime/trace", "runtime/compare", "models/..."}},
	{"cmd/...", []string{"..."}},
	{"release", nil},
	{"tests/conformance", []string{"graph", "schemas/...", "passes/...", "partition", "runtime"}},
	{"tests/...", []string{"graph", "schemas/...", "models/..."}},
}

// Packages that only some may know.
var (
	// wiring may import backends; nothing else may but tests.
	wiring   = []string{"cmd/mnnconv/wire.go", "cmd/mnnconv/wire_gpu.go"}
	backends = func(pkg string) bool {
		return strings.HasPrefix(pkg, "runtime/") && !slices.Contains([]string{"runtime/host", "runtime/trace", "runtime/compare"}, pkg)
	}
	// named are packages with a model's name: not what all models share.
	named = func(pkg string) bool {
		shared := []string{"models", "models/chat", "models/generate", "models/picture", "models/tokenizer"}
		return matches("models/...", pkg) && !slices.Contains(shared, pkg)
	}
	knowModels = []string{"models/...", "cmd/...", "tests/..."}
)

// seams are the only places of unsafe: views of bytes, mapped files, drivers and
// assembly.
var seams = []string{
	"graph/view.go",
	"schemas/onnx/guard.go",
	"schemas/onnx/internal/pb/onnx.pb.go", // generated
	"runtime/cuda/...",
	"runtime/compare/onnxruntime/...",
	"runtime/opencl/...",
}

func TestImports(t *testing.T) {
	broken, files, err := violations(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range broken {
		t.Error(b)
	}
	if files < 100 {
		t.Errorf("%d files were read: is this the module's root?", files)
	}
}

func TestImportsViolated(t *testing.T) {
	for _, c := range []struct {
		file, imports string
		want          string // empty: allowed
	}{
		{"graph/graph.go", `"mnnconv/schemas/op"`, "graph may not import schemas/op"},
		{"schemas/onnx/load.go", `"mnnconv/schemas/onnx/internal/pb"`, ""},
		{"schemas/onnx/internal/pb/pb.go", `"mnnconv/passes"`, "schemas/onnx may not import passes"},
		{"schemas/op/add.go", `"mnnconv/runtime"`, "schemas/op may not import runtime"},
		{"passes/quantize/q.go", `"mnnconv/partition"`, "passes/quantize may not import partition"},
		{"partition/place.go", `"mnnconv/runtime/cpu"`, "partition may not import runtime/cpu"},
		{"runtime/session.go", `"mnnconv/runtime/cpu"`, "runtime may not import runtime/cpu"},
		{"runtime/host/host.go", `"mnnconv/runtime"`, "runtime/host may not import runtime"},
		{"runtime/sim/sim.go", `"mnnconv/runtime/cpu"`, "runtime/sim may not import runtime/cpu"},
		{"runtime/cuda/cuda.go", `"mnnconv/runtime/cuda/driver"`, ""},
		{"runtime/cuda/cuda.go", `"mnnconv/runtime/gpu"`, ""},
		{"runtime/gpu/gpu.go", `"mnnconv/runtime/cuda"`, "runtime/gpu may not import runtime/cuda"},
		{"mnnconv.go", `"mnnconv/runtime/gpu"`, ". may not import runtime/gpu"},
		{"models/new/new.go", `"mnnconv/runtime/cpu"`, "models/new may not import runtime/cpu"},
		{"models/new/new.go", `"mnnconv/models/chat"`, ""},
		{"mnnconv.go", `"mnnconv/models"`, ""},
		{"mnnconv.go", `"mnnconv/models/qwen25vl"`, "mnnconv.go: models/qwen25vl is a model's package"},
		{"mnnconv.go", `"mnnconv/runtime/sim"`, ". may not import runtime/sim"},
		{"cmd/mnnconv/wire.go", `"mnnconv/runtime/sim"`, ""},
		{"cmd/mnnconv/run.go", `"mnnconv/runtime/sim"`, "cmd/mnnconv/run.go: runtime/sim is a backend"},
		{"cmd/mnnconv/run.go", `"mnnconv/runtime/host"`, ""},
		{"cmd/mnnconv/run_test.go", `"mnnconv/runtime/sim"`, ""},
		{"tools/tools.go", `"fmt"`, "tools has no line in layers"},
		{"passes/fast.go", `"unsafe"`, "passes/fast.go: unsafe"},
		{"graph/view.go", `"unsafe"`, ""},
		{"runtime/cuda/driver/open.go", `"unsafe"`, ""},
		{"runtime/host/c.go", `"C"`, "runtime/host/c.go: cgo"},
		{"runtime/frame.go", `"runtime"`, "import the standard library's runtime as goruntime"},
		{"models/models.go", "\"mnnconv/runtime\"\n\"runtime\"", "import the standard library's runtime as goruntime"},
		{"models/models.go", "\"mnnconv/runtime\"\ngoruntime \"runtime\"", ""},
		{"passes/testdata/wrong.go", `"mnnconv/models"`, ""},
	} {
		source := fmt.Sprintf("package x\nimport (\n%s\n)\n", c.imports)
		broken, _, err := violations(fstest.MapFS{c.file: {Data: []byte(source)}})
		got := strings.Join(broken, "\n")
		if err != nil || c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s importing %s: %q (%v), want %q", c.file, c.imports, got, err, c.want)
		}
	}
}

// violations returns what in the module's Go files breaks a rule, whatever they
// are built for, and how many files there are.
func violations(root fs.FS) (broken []string, files int, err error) {
	err = fs.WalkDir(root, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if ignored(root, file) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		files++
		source, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		imports, err := importsOf(file, source)
		broken = append(broken, check(file, imports)...)
		return err
	})
	return broken, files, err
}

// ignored tells folders that the go command leaves out of the module.
func ignored(root fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return base == "testdata" || base[0] == '.' || base[0] == '_' || err == nil
}

// importsOf maps the paths that a file imports to the names it gives them.
func importsOf(file string, source []byte) (map[string]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	imports := map[string]string{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		imports[p] = ""
		if i.Name != nil {
			imports[p] = i.Name.Name
		}
	}
	return imports, nil
}

// check returns the rules that one file breaks.
func check(file string, imports map[string]string) (broken []string) {
	fail := func(format string, args ...any) {
		broken = append(broken, file+": "+fmt.Sprintf(format, args...))
	}
	pkg := owner(path.Dir(file))
	at := slices.IndexFunc(layers, func(l layer) bool { return matches(l.pkg, pkg) })
	if at < 0 {
		fail("%s has no line in layers: say there what it may import", pkg)
		return broken
	}
	test := strings.HasSuffix(file, "_test.go")
	for p := range imports {
		to, ours := strings.CutPrefix(p, module+"/")
		if p == module {
			to, ours = ".", true
		}
		if !ours || test {
			continue
		}
		to = owner(to)
		within := func(pattern string) bool { return matches(pattern, to) }
		switch {
		case to != pkg && !slices.ContainsFunc(layers[at].may, within):
			fail("%s may not import %s", pkg, to)
		case backends(to) && !strings.HasPrefix(pkg, "runtime/") && !slices.Contains(wiring, file):
			fail("%s is a backend: only %v may import one", to, wiring)
		case named(to) && !slices.ContainsFunc(knowModels, func(p string) bool { return matches(p, pkg) }):
			fail("%s is a model's package: only %v may know a model", to, knowModels)
		}
	}
	if _, ok := imports["unsafe"]; ok && !test && !slices.ContainsFunc(seams, func(s string) bool { return matches(s, file) }) {
		fail("unsafe belongs in one of %v", seams)
	}
	if _, ok := imports["C"]; ok {
		fail("cgo: the product is free of it")
	}
	_, ours := imports[module+"/runtime"]
	if name, std := imports["runtime"]; std && name != "goruntime" && (ours || pkg == "runtime") {
		fail("import the standard library's runtime as goruntime")
	}
	return broken
}

// owner returns the package that another is a part of, or itself.
func owner(pkg string) string {
	pkg, _, _ = strings.Cut(pkg, "/internal/")
	if parts := strings.Split(pkg, "/"); parts[0] == "runtime" && len(parts) > 2 {
		return path.Join(parts[:2]...)
	}
	return pkg
}

// matches reports whether a pattern of layers stands for name.
func matches(pattern, name string) bool {
	dir, all := strings.CutSuffix(pattern, "...")
	return pattern == name || all && strings.HasPrefix(name+"/", dir)
}
