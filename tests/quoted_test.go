package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestQuoted finds each piece of code that docs/adding.md quotes in the file that the
// page named last before it.
func TestQuoted(t *testing.T) {
	page, err := os.ReadFile("../docs/adding.md")
	if err != nil {
		t.Fatal(err)
	}
	file, n := "", 0
	name := regexp.MustCompile("`([a-z0-9/_]+\\.go)`")
	for i, part := range strings.Split(string(page), "\n```") {
		code, quoted := strings.CutPrefix(part, "go\n")
		if !quoted {
			if all := name.FindAllStringSubmatch(part, -1); len(all) > 0 {
				file = all[len(all)-1][1]
			}
			continue
		}
		n++
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		if !strings.Contains(string(text), code+"\n") {
			t.Errorf("docs/adding.md quotes what %s does not have:\n%s", file, code)
		}
	}
	if n == 0 {
		t.Error("docs/adding.md quotes nothing")
	}
}
