package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
)

const bundled = "../../models/tinyvl"

// TestSignals interrupts a batch that waits for its second question.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		code   int
		says   string
	}{{syscall.SIGINT, 130, "mnnconv: interrupted\n"}, {syscall.SIGTERM, 143, "mnnconv: terminated\n"}} {
		questions, ask := io.Pipe()
		answers, out := io.Pipe()
		var errs bytes.Buffer
		code := make(chan int)
		go func() {
			code <- run([]string{"run", bundled, "--batch", "-"}, questions, out, &errs)
			out.Close()
		}()
		if _, err := fmt.Fprintln(ask, `{"id": 1, "question": "Count from 6 to 13."}`); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(answers).ReadString('\n'); err != nil {
			t.Fatalf("%q %v", line, err)
		}
		if err := syscall.Kill(os.Getpid(), c.signal); err != nil {
			t.Fatal(err)
		}
		if got := <-code; got != c.code || errs.String() != c.says {
			t.Errorf("%v: exit code %d and %q, want %d and %q", c.signal, got, &errs, c.code, c.says)
		}
		ask.Close()
	}
}

// TestClosedOutput: a reader that goes away, as head does, ends the program
// without a word.
func TestClosedOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, args := range [][]string{
		{"devices"},
		{"version"},
		{"inspect", bundled},
		{"run", bundled, "-p", "Count from 6 to 13."},
		{"tokenize", bundled, "text"},
	} {
		var errs bytes.Buffer
		if code := run(args, strings.NewReader(""), w, &errs); code != 141 || errs.Len() > 0 {
			t.Errorf("%s: exit code %d and %q, want 141 and nothing", args[0], code, &errs)
		}
	}
}

func TestPanic(t *testing.T) {
	var errs bytes.Buffer
	a := &app{err: &errs}
	err := func() (err error) {
		defer a.recovered(&err)
		var m map[string]int
		m["x"] = 1
		return nil
	}()
	if code := a.report(err); code != 1 || !strings.Contains(errs.String(), "TestPanic") || !strings.Contains(errs.String(), "report") {
		t.Errorf("exit code %d and %q", code, &errs)
	}
}

// TestVariables: every flag of every command names its variable, and no two flags
// of one command share it.
func TestVariables(t *testing.T) {
	for _, cmd := range newRootCmd(&app{}).Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.HasSuffix(f.Usage, "["+variable(f.Name)+"]") {
				t.Errorf("%s --%s: %q", cmd.Name(), f.Name, f.Usage)
			}
		})
	}
	if got := variable("max-images"); got != "MNNCONV_MAX_IMAGES" {
		t.Error(got)
	}
}

// TestTempDir: temporary folders go when the program ends.
func TestTempDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	a := &app{}
	dir, err := a.tempDir()
	if err != nil {
		t.Fatal(err)
	}
	a.removeTemp()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}
