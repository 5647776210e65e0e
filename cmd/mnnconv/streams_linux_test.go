package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// everyCommand is a command line for each command; OUT stands for a folder.
func everyCommand(t *testing.T) [][]string {
	t.Helper()
	in := fixtureDir(t)
	sum := filepath.Join(in, "sum.onnx")
	arrays := []string{"--input", "x=" + filepath.Join(in, "x.npy"), "--input", "y=" + filepath.Join(in, "y.npy")}
	with := func(args ...string) []string { return append(args, arrays...) }
	all := [][]string{
		{"--help"},
		{"demo"},
		{"run", bundled, "-p", "Count from 6 to 13."},
		{"run", bundled, "--batch", questionsFile(t, filepath.Join(in, "picture.png"))},
		with("run", sum),
		{"chat", bundled, "-n", "4"},
		{"convert", sum, "-o", "OUT/model.mnnc", "--force"},
		{"validate", sum, "--place", "sim:0"},
		with("compare", sum, "--place", "sim:0"),
		with("bisect", sum, "--place", "sim:0"),
		{"bench", bundled, "-p", "8", "-n", "2", "-r", "1", "--image-size", "0x0"},
		{"inspect", bundled},
		{"report", sum, "-o", "OUT/report.html"},
		{"devices"},
		{"preprocess", filepath.Join(in, "picture.png"), "-o", "OUT/arrays"},
		{"tokenize", bundled, "text"},
		{"version"},
	}
	named := map[string]bool{"serve": true} // TestServe
	for _, args := range all {
		named[args[0]] = true
	}
	for _, cmd := range newRootCmd(&app{}).Commands() {
		if !named[cmd.Name()] {
			t.Errorf("%s is not tried", cmd.Name())
		}
	}
	return all
}

// into puts a folder in OUT's place.
func into(args []string, dir string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.Replace(a, "OUT", dir, 1)
	}
	return out
}

// question is what stands on stdin, for chat.
const question = "Count from 6 to 13.\n"

// TestClosedOutput: a reader that goes away, as head does, ends every command without a
// word; report, which has nothing to say there, goes on.
func TestClosedOutput(t *testing.T) {
	for _, args := range everyCommand(t) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var errs bytes.Buffer
		out, want := t.TempDir(), 141
		if args[0] == "report" {
			want = 0
		}
		if code := run(into(args, out), strings.NewReader(question), w, &errs); code != want || errs.Len() > 0 {
			t.Errorf("%v: exit code %d and %q, want %d and nothing", args, code, &errs, want)
		}
		if _, err := os.Stat(filepath.Join(out, "report.html")); want == 0 && err != nil {
			t.Error(err)
		}
		w.Close()
	}
}

// TestClosedInput: without stdin every command that does not read it does its work, and
// chat says that it cannot be read.
func TestClosedInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	for _, args := range everyCommand(t) {
		var errs bytes.Buffer
		want := 0
		if args[0] == "chat" {
			want = 3
		}
		if code := run(into(args, t.TempDir()), r, io.Discard, &errs); code != want || want != 0 && !strings.Contains(errs.String(), "stdin") {
			t.Errorf("%v: exit code %d, want %d; it says %q", args, code, want, &errs)
		}
	}
}

// TestPlainTerminal: at a terminal of 20 columns that knows no colours, or with
// NO_COLOR, there are no escape codes.
func TestPlainTerminal(t *testing.T) {
	for _, c := range []struct{ term, noColor string }{{"", ""}, {"dumb", ""}, {"xterm", "1"}} {
		t.Setenv("TERM", c.term)
		t.Setenv("NO_COLOR", c.noColor)
		for _, args := range everyCommand(t) {
			if args[0] == "chat" { // a line editor needs a terminal's codes
				continue
			}
			keys, screen := pty(t)
			if err := unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 20}); err != nil {
				t.Fatal(err)
			}
			shown := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(keys) // it ends with an error when the terminal is closed
				shown <- b
			}()
			code := run(into(args, t.TempDir()), screen, screen, screen)
			screen.Close()
			if b := <-shown; code != 0 || len(b) == 0 && args[0] != "report" || bytes.ContainsRune(b, '\x1b') {
				t.Errorf("TERM=%s NO_COLOR=%s %v: exit code %d, it shows %q", c.term, c.noColor, args, code, b)
			}
		}
	}
}
