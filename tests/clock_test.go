package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestClocks: a clock that is set forward or back changes no measured time, deadline or
// wait, since times are compared by what time.Now has of a monotonic clock. What takes
// that away from a time is only used where a date is told to somebody.
func TestClocks(t *testing.T) {
	told := map[string]bool{"../cmd/mnnconv/internal/serve/complete.go": true, "../cmd/mnnconv/internal/serve/about.go": true}
	skipped := map[string]bool{"tests": true, "release": true} // no part of the program
	wall := map[string]bool{"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true, "UTC": true, "Local": true, "AddDate": true, "ModTime": true}
	files := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != ".." && (strings.HasPrefix(e.Name(), ".") || skipped[e.Name()]):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if ok && wall[s.Sel.Name] && !told[filepath.ToSlash(path)] {
				t.Errorf("%s: %s is of the wall's clock", fset.Position(s.Pos()), s.Sel.Name)
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 {
		t.Fatal(files, err)
	}
}
