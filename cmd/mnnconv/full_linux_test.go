package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullDir names the folder in which a child process runs out of room, fullBy how.
const fullDir, fullBy = "MNNCONV_TEST_FULL", "MNNCONV_TEST_FULL_BY"

// TestDiskFull converts into a file system that runs full at one size after another,
// with an old package there. It is a tmpfs of a few megabytes where this process may
// mount one, in a user namespace or as root; elsewhere the system ends files at a
// size, which is as real an error of a write.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(fullDir); dir != "" {
		runFull(t, dir, os.Getenv(fullBy) == "mount")
		return
	}
	dir := t.TempDir()
	var all []string
	for _, try := range []struct {
		by    string
		flags uintptr
	}{{"mount", syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER}, {"mount", syscall.CLONE_NEWNS}, {"limit", 0}} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		child.Env = append(os.Environ(), fullDir+"="+dir, fullBy+"="+try.by)
		child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: try.flags}
		if try.flags&syscall.CLONE_NEWUSER != 0 {
			child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		said, err := child.CombinedOutput()
		all = append(all, fmt.Sprintf("%s: %v %s", try.by, err, said))
		if err == nil {
			t.Log(all)
			return
		}
		if bytes.Contains(said, []byte(ranFull)) {
			break
		}
	}
	t.Fatal(all)
}

// ranFull is what a child says that could make room run out.
const ranFull = "room runs out"

// runFull is the child.
func runFull(t *testing.T, dir string, mount bool) {
	target := filepath.Join(dir, "model.mnnc")
	convert := func() (int, string) {
		var errs bytes.Buffer
		code := run([]string{"convert", bundled, "-o", target, "--place", "vision=sim:0", "--force"}, strings.NewReader(""), &bytes.Buffer{}, &errs)
		return code, errs.String()
	}
	fault, ballast := syscall.EFBIG, filepath.Join(dir, "ballast")
	limit := func(room int64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(room), Max: 1 << 62})
	}
	if mount {
		if err := syscall.Mount("none", dir, "tmpfs", 0, "size=32m"); err != nil {
			t.Fatal("may not mount: ", err)
		}
		defer syscall.Unmount(dir, 0) //nolint:errcheck // it ends with the process
		fault, limit = syscall.ENOSPC, func(room int64) error { return fill(ballast, room) }
	}
	if code, said := convert(); code != 0 {
		t.Fatal(said)
	}
	old := tree(t, dir)
	t.Log(ranFull)
	failed := 0
	for room := int64(0); ; room += 1_800_000 {
		if err := limit(room); err != nil {
			t.Fatal(err)
		}
		code, said := convert()
		have := tree(t, dir)
		delete(have, "/ballast")
		if !maps.Equal(have, old) {
			t.Fatalf("with room for %d bytes the folder holds other files, or other bytes; exit %d, %s", room, code, said)
		}
		if code == 0 {
			break
		}
		if failed++; code != 8 || !strings.Contains(said, fault.Error()) || !strings.Contains(said, target) {
			t.Fatalf("with room for %d bytes: exit %d, %q", room, code, said)
		}
	}
	if failed < 3 {
		t.Errorf("it failed %d times", failed)
	}
}

// fill makes a file so large that room bytes are left in its file system.
func fill(file string, room int64) error {
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(file), &s); err != nil {
		return err
	}
	free := int64(s.Bavail)*s.Bsize - room
	if free < 0 {
		return fmt.Errorf("%d bytes are free, %d are wanted", free+room, room)
	}
	return os.WriteFile(file, make([]byte, free), 0o600)
}
