package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const passed = `{"Action":"output","Package":"mnnconv/b","Test":"TestAccept","Output":"    x_test.go:3: accept: | texts | 199 | 200 | yes |\n"}
{"Action":"output","Package":"mnnconv/b","Test":"TestAccept","Output":"accept: | time | "}
{"Action":"output","Package":"mnnconv/b","Test":"TestAccept","Output":"≤ 1 s | 0.2 s | yes |\n"}
{"Action":"pass","Package":"mnnconv/b","Test":"TestAccept"}
{"Action":"output","Package":"mnnconv/a","Output":"accept: | files | all | 3 | yes |\n"}
`

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name, events string
		rows         string // expected in the file
		fails        string // expected in the error; empty: none
	}{
		{"passed", passed, "| files | all | 3 | yes |\n| texts | 199 | 200 | yes |\n| time | ≤ 1 s | 0.2 s | yes |\n", ""},
		{"not ok", `{"Action":"output","Package":"p","Output":"accept: | a | 1 | 2 | no |\n"}`, "| a | 1 | 2 | **no** |\n", "1 of 1 rows"},
		{"failed", passed + `{"Action":"fail","Package":"mnnconv/b","Test":"TestAcceptMore"}`, "| TestAcceptMore | passes | failed | **no** |\n", "1 of 4 rows"},
		{"subtest", passed + `{"Action":"fail","Package":"p","Test":"TestA/x"}{"Action":"fail","Package":"p","Test":"TestA"}{"Action":"fail","Package":"p"}`,
			"| TestA | passes | failed | **no** |\n", "1 of 4 rows"},
		{"unbuilt", passed + `{"Action":"build-output","ImportPath":"c","Output":"c.go:1: no"}{"Action":"fail","Package":"c","FailedBuild":"c"}`,
			"| c | passes | failed | **no** |\n", "1 of 4 rows"},
		{"silent", `{"Action":"pass","Package":"p"}`, "| --- |\n", "no accept test"},
		{"cells", `{"Action":"output","Package":"p","Output":"accept: | a | 1 | yes |\n"}`, "", "has 3 cells"},
		{"verdict", `{"Action":"output","Package":"p","Output":"accept: | a | 1 | 1 | ok |\n"}`, "", "want yes or no"},
		{"text", "ok mnnconv/a", "", "go test -json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "accept.md")
			err := run(strings.NewReader(c.events), file, io.Discard)
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			got, err := os.ReadFile(file)
			if c.rows != "" && (err != nil || !strings.Contains(string(got), c.rows)) {
				t.Errorf("%v\n%s\nlacks\n%s", err, got, c.rows)
			}
		})
	}
}
