package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTests wants every test that docs/security.md and docs/faults.md name to be
// there, and every script.
func TestNamedTests(t *testing.T) {
	var page []byte
	for _, file := range []string{"../docs/security.md", "../docs/faults.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		page = append(page, text...)
	}
	for _, m := range regexp.MustCompile("`(cmd/[\\w/.]+\\.txtar)`").FindAllSubmatch(page, -1) {
		if _, err := os.Stat("../" + string(m[1])); err != nil {
			t.Error(err)
		}
	}
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(page, -1)
	if len(named) < 20 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, m := range named {
		if !have[string(m[1])] {
			t.Errorf("there is no %s", m[1])
		}
	}
}
