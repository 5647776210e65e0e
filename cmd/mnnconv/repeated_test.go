package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRepeatedKeys: a member that stands twice in any of the JSON files of a model that are read is
// refused, with the file, the place and the key.
func TestRepeatedKeys(t *testing.T) {
	for _, name := range []string{"config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "chat_template.json"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(bundled)); err != nil {
			t.Fatal(err)
		}
		changed := filepath.Join(dir, name)
		text, err := os.ReadFile(changed)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ members, want string }{
			{`{"other": {"a": 1, "b": [2]}, "another": {"a": 1},`, ""},
			{"{\n\"other\": {\"a\": 1, \"b\": [2], \"a\": 3},", `line 2, column 29: "a" stands twice`},
		} {
			if err := os.WriteFile(changed, []byte(strings.Replace(string(text), "{", c.members, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			code := run([]string{"inspect", dir}, strings.NewReader(""), io.Discard, &errs)
			switch said := errs.String(); {
			case c.want == "" && code != 0:
				t.Errorf("%s: exit %d, %s", changed, code, said)
			case c.want != "" && (code != 3 || !strings.Contains(said, name) || !strings.Contains(said, c.want)):
				t.Errorf("%s: exit %d, %q, want %q", changed, code, said, c.want)
			}
		}
	}
}
