// Command vulndb has govulncheck look at the product with the advisories that
// advisories.zip holds, so that the check needs no network and its verdict changes
// only with a commit. -update makes that file anew, from a clone of
// https://github.com/golang/vulndb: the entries of the modules in go.sum, of the
// standard library and of the tool chain.
package main

import (
	"archive/zip"
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	archive = "tests/vulndb/advisories.zip"
	scanner = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
)

// advisory is what the index needs of an entry in the OSV format
// (https://ossf.github.io/osv-schema).
type advisory struct {
	ID        string    `json:"id"`
	Modified  time.Time `json:"modified"` // zero in the clone; the index must have it
	Withdrawn *string   `json:"withdrawn"`
	Aliases   []string  `json:"aliases"`
	Affected  []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected"`
}

func main() {
	clone := flag.String("update", "", "make "+archive+" from `DIR`, a clone of golang/vulndb")
	flag.Parse()
	err := errors.New("run it in the module's folder: go run ./tests/vulndb [-update DIR]")
	switch {
	case flag.NArg() > 0:
	case *clone != "":
		err = update(*clone)
	default:
		err = check()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

// update writes the archive, with the clone's commit and its day as comment.
func update(clone string) (err error) {
	wanted, err := modules()
	if err != nil {
		return err
	}
	state, err := exec.Command("git", "-C", clone, "log", "-1", "--format=%h of %cs").Output()
	if err != nil {
		return fmt.Errorf("%s: its last commit: %w", clone, err)
	}
	names, err := filepath.Glob(filepath.Join(clone, "data", "osv", "*.json"))
	if err != nil || len(names) == 0 {
		return fmt.Errorf("%s: no data/osv/*.json there (%w)", clone, err)
	}
	slices.Sort(names)
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := zip.NewWriter(f)
	if err := w.SetComment("golang/vulndb at " + strings.TrimSpace(string(state))); err != nil {
		return err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var a advisory
		if err := json.Unmarshal(data, &a); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if a.Withdrawn != nil || !slices.ContainsFunc(a.modules(), func(m string) bool { return wanted[m] }) {
			continue
		}
		to, err := w.Create(filepath.Base(name)) // without a time: the same bytes from the same clone
		if err == nil {
			_, err = to.Write(data)
		}
		if err != nil {
			return err
		}
	}
	return w.Close()
}

// modules are those whose advisories are of interest.
func modules() (map[string]bool, error) {
	out := map[string]bool{"stdlib": true, "toolchain": true}
	sums, err := os.Open("go.sum")
	if err != nil {
		return nil, err
	}
	defer sums.Close()
	for s := bufio.NewScanner(sums); s.Scan(); {
		name, _, _ := strings.Cut(s.Text(), " ")
		out[name] = true
	}
	return out, nil
}

func (a *advisory) modules() []string {
	names := map[string]bool{}
	for _, m := range a.Affected {
		names[m.Package.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// check unpacks the archive as a database and runs govulncheck.
func check() (err error) {
	dir, err := os.MkdirTemp("", "vulndb")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, state, err := unpack(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	fmt.Printf("%d advisories, %s\n", n, state)
	cmd := exec.Command("go", "run", scanner, "-db", "file://"+filepath.ToSlash(dir), "./...")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("govulncheck: %w", err)
	}
	return nil
}

// indexed is an advisory as index/modules.json lists it.
type indexed struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
}

// unpack lays the entries out as https://go.dev/doc/security/vuln/database has them.
// state is what the archive says of its age.
func unpack(dir string) (n int, state string, err error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return 0, "", err
	}
	defer z.Close()
	byModule := map[string][]indexed{}
	type entry struct {
		indexed
		Aliases []string `json:"aliases,omitempty"`
	}
	var all []entry
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return 0, "", err
		}
		data, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return 0, "", err
		}
		var a advisory
		if err := json.Unmarshal(data, &a); err != nil {
			return 0, "", fmt.Errorf("%s: %w", f.Name, err)
		}
		e := indexed{a.ID, a.Modified}
		all = append(all, entry{e, a.Aliases})
		for _, m := range a.modules() {
			byModule[m] = append(byModule[m], e)
		}
		if err := write(dir, path.Join("ID", path.Base(a.ID)+".json"), data); err != nil {
			return 0, "", err
		}
	}
	type module struct {
		Path  string    `json:"path"`
		Vulns []indexed `json:"vulns"`
	}
	var mods []module
	for name, vulns := range byModule {
		mods = append(mods, module{name, vulns})
	}
	slices.SortFunc(mods, func(a, b module) int { return cmp.Compare(a.Path, b.Path) })
	for name, v := range map[string]any{
		"index/db.json":      map[string]time.Time{"modified": time.Now()},
		"index/modules.json": mods,
		"index/vulns.json":   all,
	} {
		data, err := json.Marshal(v)
		if err == nil {
			err = write(dir, name, data)
		}
		if err != nil {
			return 0, "", err
		}
	}
	return len(all), z.Comment, nil
}

func write(dir, name string, data []byte) error {
	to := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
