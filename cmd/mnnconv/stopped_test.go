//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mnnconv/schemas/disk"
)

// longCommand is a command that may take long, of a model folder, of a package made
// of it, or of both, and what it is fed.
type longCommand struct {
	name  string
	args  []string // MODEL, PACKAGE and OUT stand for paths
	in    string   // on stdin; empty: nothing, and stdin stays open if waits
	waits bool     // does not end by itself
}

// longCommands are all commands that may take long.
func longCommands(t *testing.T) []longCommand {
	t.Helper()
	picture, err := filepath.Abs(bundled + "/demo/describe.png")
	if err != nil {
		t.Fatal(err)
	}
	questions := questionsFile(t, picture)
	ask := []string{"--image", picture, "-p", "Describe the image.", "--max-pixels", "50176", "-n", "16"}
	compared := []string{"--image", picture, "-p", "Describe the image.", "--max-pixels", "7056", "-n", "1", "--place", "vision=sim:0"}
	of := func(command, src string, more ...string) []string {
		return slices.Concat([]string{command, src}, more)
	}
	return []longCommand{
		{name: "convert", args: of("convert", "MODEL", "-o", "OUT/model.mnnc", "--force", "--place", "vision=sim:0")},
		{name: "convert int4", args: of("convert", "MODEL", "-o", "OUT/model.mnnc", "--force", "--quantize", "int4")},
		{name: "convert refine", args: of("convert", "MODEL", "-o", "OUT/model.mnnc", "--force", "--quantize", "llm=int4:refine")},
		{name: "convert gptq", args: of("convert", "MODEL", "-o", "OUT/model.mnnc", "--force", "--quantize", "llm=int4:gptq", "--calibrate", questions)},
		{name: "validate", args: of("validate", "PACKAGE", "--strict")},
		{name: "inspect", args: of("inspect", "PACKAGE")},
		{name: "run", args: of("run", "PACKAGE", ask...)},
		{name: "run --batch", args: of("run", "PACKAGE", "--batch", questions)},
		{name: "compare", args: of("compare", "MODEL", compared...)},
		{name: "bisect", args: of("bisect", "MODEL", compared...)},
		{name: "report", args: of("report", "MODEL", append([]string{"-o", "OUT/report.html", "--compare"}, compared...)...)},
		{name: "bench", args: of("bench", "PACKAGE", "-p", "64", "-n", "8", "-r", "2", "--image-size", "112x112")},
		{name: "chat", args: of("chat", "PACKAGE", "-n", "16"), in: "/image " + picture + "\nDescribe the image.\nWhat else?\n"},
		{name: "chat, idle", args: of("chat", "PACKAGE"), waits: true},
		{name: "tokenize, idle", args: of("tokenize", "PACKAGE"), waits: true},
		{name: "serve, idle", args: of("serve", "PACKAGE", "--listen", "127.0.0.1:0"), waits: true},
	}
}

// stopper sends a signal to each command at random moments, as often as it is told:
// the command ends by it, with its exit code and word, and leaves nothing: no
// temporary file, and in the place of what it was to write what was there, or all.
// It returns how long it took to end, at most.
type stopper struct {
	model, pack string
	times       int
	within      time.Duration // of the first moments of each command; 0: of all its time
}

// started is a command on its way.
type started struct {
	*exec.Cmd
	out, errs bytes.Buffer
	ended     chan struct{} // closed when it has, with err
	err       error
	in        io.Closer
}

func (s stopper) start(t *testing.T, c longCommand, out, temp string) *started {
	t.Helper()
	x := &started{Cmd: exec.CommandContext(t.Context(), os.Args[0]), ended: make(chan struct{})}
	x.Args = []string{"mnnconv"}
	for _, a := range c.args {
		x.Args = append(x.Args, strings.NewReplacer("MODEL", s.model, "PACKAGE", s.pack, "OUT", out).Replace(a))
	}
	x.Env = append(os.Environ(), "TMPDIR="+temp)
	x.Stdout, x.Stderr = &x.out, &x.errs
	if c.waits {
		in, err := x.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		x.in = in
	} else {
		x.Stdin = strings.NewReader(c.in)
	}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		x.err = x.Wait()
		close(x.ended)
	}()
	return x
}

// hang is how long a command that was stopped may take before it is taken for dead.
const hang = 30 * time.Second

func (s stopper) stop(t *testing.T, c longCommand) (longest time.Duration) {
	t.Helper()
	out, temp := t.TempDir(), t.TempDir()
	takes := s.within
	switch {
	case c.waits && takes > 0: // it has soon loaded the model, and waits
		takes = min(takes, 3*time.Second)
	case c.waits:
		takes = 300 * time.Millisecond
	case takes == 0:
		from := time.Now()
		x := s.start(t, c, out, temp)
		<-x.ended
		if x.err != nil && x.ProcessState.ExitCode() != 10 {
			t.Fatalf("%v: %s", x.err, &x.errs)
		}
		takes = time.Since(from)
	}
	whole := names(t, out)
	stopped := 0
	for i := range s.times {
		stop, code, word := syscall.SIGINT, 130, "mnnconv: interrupted\n"
		if i%2 == 1 {
			stop, code, word = syscall.SIGTERM, 143, "mnnconv: terminated\n"
		}
		x := s.start(t, c, out, temp)
		// A moment of each part of its time.
		moment := time.Duration((float64(i) + rand.Float64()) / float64(s.times) * float64(takes)) //nolint:gosec // a moment
		select {
		case <-x.ended:
			if s.within > 0 {
				out = t.TempDir()
			}
			continue
		case <-time.After(moment):
		}
		from := time.Now()
		if err := x.Process.Signal(stop); err != nil {
			continue // it has just ended
		}
		select {
		case <-x.ended:
		case <-time.After(hang):
			_ = x.Process.Kill()
			t.Fatalf("%v after %v: still there after %v", stop, moment, hang)
		}
		took := time.Since(from)
		status, _ := x.ProcessState.Sys().(syscall.WaitStatus)
		switch got := x.ProcessState.ExitCode(); {
		case status.Signaled() && status.Signal() == stop: // before it could look after signals
		case got == code && strings.HasSuffix(x.errs.String(), word):
			stopped++
			longest = max(longest, took)
		case got == 0 || got == 10: // it had ended
			if s.within > 0 {
				out = t.TempDir()
			}
			continue
		default:
			t.Errorf("%v after %v: exit code %d, %q", stop, moment, got, &x.errs)
		}
		if have := names(t, out); !maps.Equal(have, whole) {
			t.Errorf("%v after %v: %v is left, %v was there", stop, moment, have, whole)
		}
		if have := names(t, temp); len(have) > 0 {
			t.Errorf("%v after %v: temporary files are left: %v", stop, moment, have)
		}
	}
	t.Logf("%d of %d stopped, within %v; by itself it takes %v", stopped, s.times, longest, takes)
	return longest
}

// names returns the sizes of all files in a folder, by path. What a clock or a time
// goes into may have another size.
func names(t *testing.T, dir string) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() && path == dir {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		out[strings.TrimPrefix(path, dir)] = int(info.Size())
		if filepath.Ext(path) == ".html" || e.IsDir() {
			out[strings.TrimPrefix(path, dir)] = 0
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStopped stops each command that may take long.
func TestStopped(t *testing.T) {
	s := stopper{model: bundled, pack: packaged(t, bundled), times: 3}
	for _, c := range longCommands(t) {
		t.Run(c.name, func(t *testing.T) { s.stop(t, c) })
	}
}

// packaged makes a package of a model.
func packaged(t *testing.T, model string, more ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model.mnnc")
	var errs bytes.Buffer
	if code := run(append([]string{"convert", model, "-o", dir}, more...), strings.NewReader(""), io.Discard, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	return dir
}

func questionsFile(t *testing.T, picture string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "questions.jsonl")
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "{\"id\": %d, \"images\": [%q], \"question\": \"Describe the image.\"}\n", i, picture)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// stuck is a disk that never comes back from its n-th call, and says when it is there.
func stuck(n int) (d *disk.Disk, there chan struct{}) {
	there = make(chan struct{})
	calls := 0
	return &disk.Disk{Before: func(disk.Call) error {
		if calls++; calls == n {
			close(there)
			select {}
		}
		return nil
	}}, there
}

// TestStuck: a command that does not react, here since the disk does not, ends when
// its grace is over, or at the second signal; and what it began is taken back.
func TestStuck(t *testing.T) {
	small := filepath.Join(fixtureDir(t), "sum.onnx")
	mine := make(chan os.Signal, 1)
	signal.Notify(mine, syscall.SIGTERM)
	defer signal.Stop(mine)
	for _, second := range []bool{false, true} {
		for n := 2; n < 12; n++ {
			out := t.TempDir()
			d, there := stuck(n)
			var errs bytes.Buffer
			a := &app{in: strings.NewReader(""), out: io.Discard, err: &errs, disk: d, grace: time.Millisecond}
			if second {
				a.grace = time.Hour
			}
			code := make(chan int)
			go func() { code <- a.run([]string{"convert", small, "-o", filepath.Join(out, "model.mnnc")}) }()
			<-there
			raise(t, syscall.SIGTERM)
			if second {
				<-mine // the first has come
				raise(t, syscall.SIGTERM)
			}
			if got := <-code; got != 143 || errs.String() != "mnnconv: terminated\n" {
				t.Errorf("stuck at call %d: exit %d, %q", n, got, &errs)
			}
			<-mine
			if have := names(t, out); len(have) > 0 {
				t.Errorf("stuck at call %d: %v is left", n, have)
			}
		}
	}
}

func raise(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

// TestStoppedWriting sends a signal at each call that writes: there is nothing, or
// the whole package.
func TestStoppedWriting(t *testing.T) {
	small := filepath.Join(fixtureDir(t), "sum.onnx")
	want := names(t, filepath.Dir(packaged(t, small)))
	ended := false
	for n := 1; !ended; n++ {
		out := t.TempDir()
		calls := 0
		d := &disk.Disk{Before: func(disk.Call) error {
			if calls++; calls == n {
				raise(t, syscall.SIGINT)
			}
			return nil
		}}
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: io.Discard, err: &errs, disk: d, grace: time.Hour}
		code := a.run([]string{"convert", small, "-o", filepath.Join(out, "model.mnnc")})
		ended = calls < n
		switch have := names(t, out); {
		case code != 0 && (code != 130 || errs.String() != "mnnconv: interrupted\n"):
			t.Errorf("at call %d: exit %d, %q", n, code, &errs)
		case len(have) > 0 && !maps.Equal(have, want), code == 0 && len(have) == 0:
			t.Errorf("at call %d, exit %d: %v is left", n, code, have)
		}
	}
}

// TestStoppedServing: a server that is stopped in the midst of an answer ends by the
// signal, and so does the answer.
func TestStoppedServing(t *testing.T) {
	r, w := io.Pipe()
	code := make(chan int)
	go func() {
		code <- run([]string{"serve", bundled, "--listen", "127.0.0.1:0"}, strings.NewReader(""), io.Discard, w)
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r) //nolint:errcheck // the words at the end
	at := regexp.MustCompile(`http://127\.0\.0\.1:\d+/v1`).FindString(line)
	body := `{"messages":[{"role":"user","content":"Count from 6 to 13."}],"stream":true,"temperature":2,"max_tokens":1900}`
	resp, err := http.Post(at+"/chat/completions", "application/json", strings.NewReader(body)) //nolint:noctx // the test's own time limit
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	raise(t, syscall.SIGTERM)
	_, _ = io.ReadAll(resp.Body) // it ends, whole or not
	if got := <-code; got != 143 {
		t.Errorf("exit code %d", got)
	}
}
