//go:build accept

package accept

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the main function of processes that tests start to measure one
// thing apart from all else: what such a process is to do stands in ACCEPT.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv("ACCEPT") {
	case "":
		if bin, err = os.MkdirTemp("", "accept"); err == nil {
			code := m.Run()
			os.RemoveAll(bin)
			os.Exit(code)
		}
	case "command":
		err = command(os.Args[1:])
	case "model":
		err = model(os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is what was measured of a command.
type process struct {
	First  time.Duration // from the start to the first byte on stdout
	Took   time.Duration
	Memory int64 // bytes resident at the peak, mapped files included
	Output []byte
}

// measure runs a command in a process of its own, started by a small one: Linux
// counts what the starting process holds as the started one's.
func measure(t *testing.T, args ...string) process {
	t.Helper()
	var p process
	call(t, "command", &p, args...)
	return p
}

// call starts this program again to do what, and reads its result.
func call(t *testing.T, what string, result any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "ACCEPT="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, result)
	}
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// command measures one.
func command(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var p process
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	var first [1]byte
	if n, err := io.ReadFull(out, first[:]); n > 0 && err == nil {
		p.First = time.Since(start)
		p.Output = first[:]
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		return err
	}
	p.Output = append(p.Output, rest...)
	err = cmd.Wait()
	p.Took = time.Since(start)
	if err != nil {
		return err
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		p.Memory = u.Maxrss << 10
	}
	return json.NewEncoder(os.Stdout).Encode(p)
}

// bin is a folder for what tests build.
var bin string

// program builds a command of this module and returns its path.
func program(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(bin, filepath.Base(pkg))
	run(t, "../..", "go", "build", "-o", path, pkg)
	return path
}

// run runs a command that prints nothing of interest.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}
