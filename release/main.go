// Command release builds what is handed out, from a clone of the last commit: for
// each system an archive with the program, its man pages and the licences of all that
// is linked in, a bill of materials beside it, and SHA256SUMS over both. The same commit
// and the same Go give the same bytes, wherever and whenever it runs: -check
// builds in two clones, one with an empty build cache, and compares.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// targets are the systems that are built for, as GOOS/GOARCH.
var targets = []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64"}

func main() {
	out := flag.String("o", "dist", "write to `DIR`, which must not be there yet")
	check := flag.Bool("check", false, "build for linux/amd64 twice and compare; nothing is written")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := errors.New("usage: go run ./release [-o DIR | -check], in the module's folder")
	switch {
	case flag.NArg() > 0:
	case *check:
		err = twice(ctx)
	default:
		err = release(ctx, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release writes all archives.
func release(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	source, remove, err := clone(ctx, "source")
	if err != nil {
		return err
	}
	defer remove()
	when, err := committed(ctx, source)
	if err != nil {
		return err
	}
	for _, target := range targets {
		p, err := build(ctx, source, target, nil)
		if err != nil {
			return err
		}
		if err := p.write(dir, when); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	return sums(dir)
}

// clone makes a clone of the last commit in a temporary folder. Go stamps the commit
// into what is built there; it does not in every working tree.
func clone(ctx context.Context, name string) (dir string, remove func(), err error) {
	tmp, err := os.MkdirTemp("", "release")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(tmp) }
	dir = filepath.Join(tmp, name)
	if out, err := exec.CommandContext(ctx, "git", "clone", "-q", "--no-local", ".", dir).CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("git clone: %w\n%s", err, out)
	}
	return dir, remove, nil
}

// committed is the time of the last commit, which archives carry as that of their files.
func committed(ctx context.Context, dir string) (time.Time, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "log", "-1", "--format=%cI").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("the commit's time, by git: %w", err)
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(out)))
}

// program is one built binary.
type program struct {
	source string // the folder it was built in
	target string
	data   []byte
	info   *buildinfo.BuildInfo
	terms  []licence // of what is linked in
}

// build compiles the program of a source folder. The environment is set for all that
// changes a binary; env goes over it.
func build(ctx context.Context, source, target string, env []string) (*program, error) {
	tmp, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "mnnconv")
	system, processor, _ := strings.Cut(target, "/")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w -buildid=", "-o", file, "./cmd/mnnconv")
	cmd.Dir, cmd.Stderr = source, os.Stderr
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOTOOLCHAIN=local")
	cmd.Env = append(cmd.Env, env...)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build for %s: %w", target, err)
	}
	p := &program{source: source, target: target}
	if p.data, err = os.ReadFile(file); err != nil {
		return nil, err
	}
	if p.info, err = buildinfo.ReadFile(file); err != nil {
		return nil, fmt.Errorf("build for %s: %w", target, err)
	}
	if p.terms, err = licences(ctx, source, p.info.Deps); err != nil {
		return nil, err
	}
	return p, nil
}

// name is what files of this program are called.
func (p *program) name() string {
	return "mnnconv-" + version(p.info) + "-" + strings.ReplaceAll(p.target, "/", "-")
}

// version is the tag or, between tags, Go's pseudo-version.
func version(info *buildinfo.BuildInfo) string {
	return strings.TrimPrefix(cmp.Or(info.Main.Version, "devel"), "v")
}

// twice builds in two clones.
func twice(ctx context.Context) error {
	one, remove, err := clone(ctx, "one")
	if err != nil {
		return err
	}
	defer remove()
	two, remove, err := clone(ctx, "a second clone")
	if err != nil {
		return err
	}
	defer remove()
	here, err := build(ctx, one, targets[0], nil)
	if err != nil {
		return err
	}
	there, err := build(ctx, two, targets[0], []string{"GOCACHE=" + filepath.Join(filepath.Dir(two), "cache")})
	if err != nil {
		return err
	}
	a, b := sha256.Sum256(here.data), sha256.Sum256(there.data)
	if a != b {
		return fmt.Errorf("the build is not reproducible: %x in one clone, %x in another\n%s%s", a, b, here.info, there.info)
	}
	if _, err := here.bill(time.Unix(0, 0)); err != nil {
		return err
	}
	if _, err := here.files(); err != nil {
		return err
	}
	fmt.Printf("%x  %s, %d bytes, both times\n", a, here.name(), len(here.data))
	return nil
}

// sums writes SHA256SUMS, as sha256sum -c takes it.
func sums(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b os.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) }) {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(data), f.Name())
	}
	fmt.Print(text.String())
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(text.String()), 0o644)
}
