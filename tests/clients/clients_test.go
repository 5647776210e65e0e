//go:build clients

// Package clients tries the server with the clients that people use. It installs
// them from PyPI and npm: it needs Python 3 with venv, and Node.
package clients

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const (
	pythonClient = "openai==3.54.0"
	nodeClient   = "openai@7.57.0"
)

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func path(t *testing.T, file string) string {
	t.Helper()
	p, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve starts a server and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mnnconv")
	command(t, "../..", "go", "build", "-o", program, "./cmd/mnnconv")
	cmd := exec.Command(program, "serve", "../../models/tinyvl", "--listen", "127.0.0.1:0", "--slots", "2")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 143 {
			t.Errorf("the server ended with %d", code)
		}
	})
	line, err := bufio.NewReader(errs).ReadString('\n')
	at := regexp.MustCompile(`http://127\.0\.0\.1:\d+/v1`).FindString(line)
	if err != nil || at == "" {
		t.Fatalf("%q %v", line, err)
	}
	return at
}

// TestClients makes the same calls with both.
func TestClients(t *testing.T) {
	at := serve(t)
	pictures := path(t, "../../models/tinyvl/demo")
	t.Run("python", func(t *testing.T) {
		venv := filepath.Join(t.TempDir(), "venv")
		command(t, ".", "python3", "-m", "venv", venv)
		python := filepath.Join(venv, "bin", "python")
		command(t, ".", python, "-m", "pip", "install", "-q", pythonClient)
		t.Log(command(t, ".", python, "client.py", at, pictures))
	})
	t.Run("node", func(t *testing.T) {
		dir := t.TempDir()
		source, err := os.ReadFile("client.mjs")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "client.mjs"), source, 0o666); err != nil { // modules are looked for beside it
			t.Fatal(err)
		}
		command(t, dir, "npm", "install", "--no-audit", "--no-fund", "--silent", nodeClient)
		t.Log(command(t, dir, "node", "client.mjs", at, pictures, path(t, "calls.json")))
	})
}
