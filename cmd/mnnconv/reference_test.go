package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write docs/reference.md and docs/man")

const docs = "../../docs"

// TestReference compares the man pages and the flag reference with the commands they
// are made of, or writes them.
func TestReference(t *testing.T) {
	want, err := reference()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		for name, text := range want {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(docs, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(docs, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	const remedy = "run `go test ./cmd/mnnconv -run TestReference -update`"
	for name, text := range want {
		have, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Fatalf("%v; %s", err, remedy)
		}
		if !bytes.Equal(have, text) {
			t.Errorf("docs/%s is not of the commands as they are; %s", name, remedy)
		}
	}
	pages, err := filepath.Glob(filepath.Join(docs, "man", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if want["man/"+filepath.Base(page)] == nil {
			t.Errorf("%s is of no command; remove it", page)
		}
	}
}

// reference returns the pages by their names below docs.
func reference() (map[string][]byte, error) {
	root := newRootCmd(&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd("run")
	out := map[string][]byte{}
	var text bytes.Buffer
	fmt.Fprint(&text, "# Commands and flags\n\nMade from the program's own help. Every flag is also the environment variable in brackets.\n")
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		var man bytes.Buffer
		header := &doc.GenManHeader{Section: "1", Source: "mnnconv", Manual: "mnnconv"}
		if err := doc.GenMan(cmd, header, &man); err != nil {
			return nil, err
		}
		out["man/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"] = undated(man.Bytes())
		if err := section(&text, cmd); err != nil {
			return nil, err
		}
	}
	out["reference.md"] = text.Bytes()
	return out, nil
}

// undated takes the date out of a page's head: no page changes with the day.
func undated(page []byte) []byte {
	return regexp.MustCompile(`(?m)^(\.TH \S+ \S+) "[^"]*"`).ReplaceAll(page, []byte(`$1 ""`))
}

// section adds what the help of a command says.
func section(w io.Writer, cmd *cobra.Command) error {
	_, err := fmt.Fprintf(w, "\n## %s\n\n%s.\n\n```\n%s\n```\n", cmd.CommandPath(), cmd.Short, strings.TrimSpace(cmd.UseLine()))
	if err == nil && cmd.Long != "" {
		_, err = fmt.Fprintf(w, "\n```text\n%s\n```\n", strings.TrimSpace(cmd.Long))
	}
	if err == nil && cmd.Example != "" {
		_, err = fmt.Fprintf(w, "\n```text\n%s\n```\n", strings.TrimRight(cmd.Example, "\n"))
	}
	if flags := cmd.NonInheritedFlags(); err == nil && flags.HasAvailableFlags() {
		_, err = fmt.Fprintf(w, "\n```text\n%s```\n", flags.FlagUsages())
	}
	return err
}
