//go:build readme

package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents have command blocks that somebody may paste, the README first: it builds the
// program that the others use.
var documents = []string{"README.md", "docs/tutorial.md", "docs/contracts.md", "docs/tracing.md"}

// skipped are command blocks that TestReadme does not run, by how they start.
var skipped = map[string]string{
	"git clone ":    "it runs in a clone already",
	"go test ./...": "whoever runs it runs that too",
}

// TestReadme runs the documents' command blocks, those marked sh, one after the
// other in a fresh copy of the repository. Where a block marked text follows
// one at once, it is what the commands must print. A drawing that they make and the document
// shows must be the one that is shown.
func TestReadme(t *testing.T) {
	dir := freshCopy(t)
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", name))
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := commandBlocks(string(text))
			if err != nil {
				t.Fatalf("%s:%v", name, err)
			}
			if len(blocks) == 0 {
				t.Fatalf("%s has no block marked sh", name)
			}
			for _, b := range blocks {
				t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) { follow(t, dir, b, name) })
			}
			shown(t, dir, name, string(text))
		})
	}
}

// follow runs one block.
func follow(t *testing.T, dir string, b block, document string) {
	t.Helper()
	for start, why := range skipped {
		if strings.HasPrefix(b.commands, start) {
			t.Logf("not run: %q: %s", strings.TrimSpace(b.commands), why)
			return
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", b.commands)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s:%d: %v\n%s\n%s%s", document, b.line, err, b.commands, &out, &errs)
	}
	if got := strings.TrimSpace(out.String()); b.prints != "" && got != strings.TrimSpace(b.prints) {
		t.Errorf("%s:%d: %s\nprints\n%s\nwant\n%s", document, b.line, b.commands, got, b.prints)
	}
}

// shown compares the drawings that a document shows with those that its commands made
// under the same name.
func shown(t *testing.T, dir, document, text string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\]\((pictures/[a-z-]+\.svg)\)`).FindAllStringSubmatch(text, -1) {
		committed, err := os.ReadFile(filepath.Join("..", filepath.Dir(document), m[1]))
		if err != nil {
			t.Fatal(err)
		}
		made, err := os.ReadFile(filepath.Join(dir, filepath.Base(m[1])))
		if err != nil {
			t.Fatalf("%s shows %s: its commands do not make that: %v", document, m[1], err)
		}
		if !bytes.Equal(committed, made) {
			t.Errorf("%s shows %s as it was; copy the one that its commands make", document, m[1])
		}
	}
}

// block is a block of commands in a Markdown file.
type block struct {
	line     int
	commands string
	prints   string // what it must print; empty: anything
}

// commandBlocks finds the fenced blocks marked sh.
func commandBlocks(markdown string) ([]block, error) {
	var out []block
	var kind string
	open, follows := 0, false // the line of the open fence; only blank lines since a block marked sh
	for i, line := range strings.Split(markdown, "\n") {
		mark, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == 0:
			open, kind = i+1, mark
			if kind == "sh" {
				out = append(out, block{line: i + 1})
			}
		case fence && mark == "":
			open, follows = 0, kind == "sh"
		case open > 0 && kind == "sh":
			out[len(out)-1].commands += line + "\n"
		case open > 0 && kind == "text" && follows:
			out[len(out)-1].prints += line + "\n"
		case open == 0 && strings.TrimSpace(line) != "":
			follows = false
		}
	}
	if open > 0 {
		return nil, fmt.Errorf("%d: the block is not closed", open)
	}
	return out, nil
}

// freshCopy copies what git tracks, or would, to a folder of its own.
func freshCopy(t *testing.T) string {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		to := filepath.Join(dir, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadmeBlocks(t *testing.T) {
	const fence = "```"
	got, err := commandBlocks("a\n" + fence + "sh\ngit clone x\ncd x\n" + fence + "\n\n" + fence + "text\nhello\n" + fence +
		"\n" + fence + "sh\nls\n" + fence + "\nb\n" + fence + "text\nnot its output\n" + fence + "\n")
	want := []block{{2, "git clone x\ncd x\n", "hello\n"}, {10, "ls\n", ""}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	if _, err := commandBlocks(fence + "sh\nls\n"); err == nil {
		t.Error("an open block is no error")
	}
}
