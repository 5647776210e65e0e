package tests

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rounded are packages whose numbers must have the same bits on every processor: what
// files hold, what kernels are compared with, what decides between graphs.
var rounded = []string{"./graph", "./passes/...", "./partition", "./schemas/...", "./models/...", "./runtime/host/..."}

// A product that is added may be fused with the sum on some processors (the language
// allows it, "possibly across statements"), which rounds once where others round
// twice. So such products are converted, float32(a*b) + c, which rounds them. A package
// of rounded that adds a product as it is fails here.
func TestProductsAreRoundedBeforeTheyAreAdded(t *testing.T) {
	fused, err := fusable("..", rounded...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fused {
		t.Error(f)
	}
}

// The check finds each way to write such a sum, and passes those that round or that
// are exact.
func TestFusableSumsAreFound(t *testing.T) {
	for body, want := range map[string]int{
		"return a*b + c":                                           1,
		"return c - a*b":                                           1,
		"return -(a*b) - a*c":                                      2,
		"c += a * b; return c":                                     1,
		"p := a * b; return p + c":                                 1,
		"var p = a * b; return p + c":                              1,
		"p := c; p *= a; return p + b":                             1,
		"return product(a, b) + c":                                 1,
		"return float32(a*b) + c":                                  0,
		"p := float32(a * b); return p + c":                        0,
		"return 2*a + c - b*0.5":                                   0, // exact
		"return 3*a + c":                                           1,
		"return float32(float64(a)*float64(b) + 1)":                0, // exact
		"d := float64(a); return float32(d*d*d + 1)":               1,
		"return a*(b+c)":                                           0,
		"return a/b + c":                                           0,
		"n := 3; return a + float32(n*n+n)":                        0,
		"z := complex128(1); z *= 2i; return float32(real(z * z))": 2,
		"s := []float32{a * b}; s[0] += c; return s[0]":            0, // through memory
	} {
		src := "package p\nfunc product(a, b float32) float32 { return a * b }\nfunc f(a, b, c float32) float32 {" + body + "}\n"
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "p.go", src, 0)
		if err != nil {
			t.Fatal(err)
		}
		found, err := fusableIn(fset, "p", []*ast.File{file}, importer.Default())
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != want {
			t.Errorf("%s: found %v, want %d", body, found, want)
		}
	}
}

// fusable lists the sums of the packages that add a product without rounding it.
func fusable(dir string, patterns ...string) ([]string, error) {
	list := func(args ...string) ([]string, error) {
		cmd := exec.Command("go", append([]string{"list"}, args...)...)
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
	}
	exported, err := list(append([]string{"-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, line := range exported {
		path, file, _ := strings.Cut(line, "\t")
		files[path] = file
	}
	packages, err := list(append([]string{"-f", "{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles \" \"}}"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
	var out []string
	for _, line := range packages {
		path, rest, _ := strings.Cut(line, "\t")
		folder, names, _ := strings.Cut(rest, "\t")
		var parsed []*ast.File
		for name := range strings.FieldsSeq(names) {
			file, err := parser.ParseFile(fset, filepath.Join(folder, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			parsed = append(parsed, file)
		}
		found, err := fusableIn(fset, path, parsed, imports)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// products knows what of a package may still be a product that nothing has rounded.
type products struct {
	types.Info
	held map[types.Object]bool // variables and fields that hold one, functions that return one
}

func fusableIn(fset *token.FileSet, path string, files []*ast.File, imports types.Importer) ([]string, error) {
	p := &products{types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}, map[types.Object]bool{}}
	if _, err := (&types.Config{Importer: imports}).Check(path, fset, files, &p.Info); err != nil {
		return nil, err
	}
	for n := -1; n != len(p.held); { // until nothing holds one that did not
		n = len(p.held)
		for _, f := range files {
			p.learn(f)
		}
	}
	var out []string
	report := func(e ast.Expr) {
		if p.product(e) {
			out = append(out, fmt.Sprintf("%s: a product is added that may be fused with the sum: round it, float32(a*b) or float64(a*b)", fset.Position(e.Pos())))
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.MUL && !p.constant(n) && basic(p.Types[n].Type) == types.Complex128 {
					out = append(out, complexProduct(fset, n))
				}
				if (n.Op == token.ADD || n.Op == token.SUB) && !p.constant(n) {
					report(n.X)
					report(n.Y)
				}
			case *ast.AssignStmt:
				if n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN {
					report(n.Rhs[0])
				}
				if n.Tok == token.MUL_ASSIGN && basic(p.Types[n.Lhs[0]].Type) == types.Complex128 {
					out = append(out, complexProduct(fset, n))
				}
			}
			return true
		})
	}
	return out, nil
}

func complexProduct(fset *token.FileSet, n ast.Node) string {
	return fmt.Sprintf("%s: the sums of a complex product may be fused: write them out, and round their products", fset.Position(n.Pos()))
}

// learn notes what is given a product.
func (p *products) learn(f *ast.File) {
	hold := func(to ast.Expr) {
		var o types.Object
		switch to := ast.Unparen(to).(type) {
		case *ast.Ident:
			if o = p.Defs[to]; o == nil {
				o = p.Uses[to]
			}
		case *ast.SelectorExpr:
			o = p.Uses[to.Sel]
		}
		if o != nil {
			p.held[o] = true
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, to := range n.Lhs {
					if n.Tok == token.MUL_ASSIGN && p.float(to) || len(n.Lhs) == len(n.Rhs) && (n.Tok == token.ASSIGN || n.Tok == token.DEFINE) && p.product(n.Rhs[i]) {
						hold(to)
					}
				}
			case *ast.ValueSpec:
				for i, v := range n.Values {
					if p.product(v) && len(n.Names) == len(n.Values) {
						hold(n.Names[i])
					}
				}
			case *ast.FuncLit:
				return true
			case *ast.ReturnStmt:
				if len(n.Results) == 1 && p.product(n.Results[0]) {
					p.held[p.Defs[fn.Name]] = true
				}
			}
			return true
		})
	}
}

// product reports whether a value may be a product that nothing has rounded.
func (p *products) product(e ast.Expr) bool {
	if !p.float(e) || p.constant(e) {
		return false
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		return e.Op == token.MUL && !p.exact(e)
	case *ast.UnaryExpr:
		return p.product(e.X)
	case *ast.Ident:
		return p.held[p.Uses[e]]
	case *ast.SelectorExpr:
		return p.held[p.Uses[e.Sel]]
	case *ast.CallExpr:
		switch f := ast.Unparen(e.Fun).(type) {
		case *ast.Ident:
			return p.held[p.Uses[f]]
		case *ast.SelectorExpr:
			return p.held[p.Uses[f.Sel]]
		}
	}
	return false
}

// exact reports whether a product needs no rounding: one with a power of two, or one of
// two float32 in float64.
func (p *products) exact(e *ast.BinaryExpr) bool {
	narrow := 0
	for _, x := range []ast.Expr{e.X, e.Y} {
		if v := p.Types[x].Value; v != nil {
			f, _ := constant.Float64Val(v)
			if m, _ := math.Frexp(f); m == 0.5 || m == -0.5 || f == 0 {
				return true
			}
		}
		if c, ok := ast.Unparen(x).(*ast.CallExpr); ok && len(c.Args) == 1 && p.Types[c.Fun].IsType() && basic(p.Types[c.Args[0]].Type) == types.Float32 {
			narrow++
		}
	}
	return narrow == 2 && basic(p.Types[e].Type) == types.Float64
}

func (p *products) constant(e ast.Expr) bool { return p.Types[e].Value != nil }

func (p *products) float(e ast.Expr) bool {
	t := p.Types[e].Type
	if i, ok := e.(*ast.Ident); ok && t == nil && p.Defs[i] != nil {
		t = p.Defs[i].Type()
	}
	k := basic(t)
	return k == types.Float32 || k == types.Float64
}

func basic(t types.Type) types.BasicKind {
	if t == nil {
		return types.Invalid
	}
	if b, ok := t.Underlying().(*types.Basic); ok {
		return b.Kind()
	}
	return types.Invalid
}
