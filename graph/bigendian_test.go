package graph_test

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

// TestBigEndian: a processor that stores the highest byte first is refused when the
// program is built for it, in words, and no other is.
func TestBigEndian(t *testing.T) {
	for arch, big := range map[string]bool{
		"s390x": true, "ppc64": true, "mips": true, "mips64": true,
		"386": false, "amd64": false, "arm": false, "arm64": false, "loong64": false, "mipsle": false, "mips64le": false, "ppc64le": false, "riscv64": false, "wasm": false,
	} {
		c := build.Default
		c.GOARCH = arch
		if got, err := c.MatchFile(".", "bigendian.go"); err != nil || got != big {
			t.Errorf("%s: refused %t, %v", arch, got, err)
		}
	}
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "bigendian.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&types.Config{Importer: importer.Default()}).Check("graph", files, []*ast.File{f}, nil)
	if err == nil || !strings.Contains(err.Error(), "mnnconv needs a little-endian processor") {
		t.Errorf("the compiler says %v", err)
	}
}
