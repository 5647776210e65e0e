package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/google/licensecheck"
)

// licence is what a linked module may be used under.
type licence struct {
	module *debug.Module
	id     string // by SPDX's list
	text   string
}

// licences reads the licence of each module that is linked in, from the module
// cache. One that is not found or not known is an error: nothing is handed out whose
// terms nobody looked at.
func licences(ctx context.Context, source string, linked []*debug.Module) ([]licence, error) {
	args := []string{"list", "-m", "-f", "{{.Dir}}"}
	for _, m := range linked {
		args = append(args, m.Path)
	}
	list := exec.CommandContext(ctx, "go", args...)
	list.Dir = source
	text, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("the folders of modules, by go list: %w", err)
	}
	dirs := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(dirs) != len(linked) {
		return nil, fmt.Errorf("go list names %d folders of %d modules", len(dirs), len(linked))
	}
	var out []licence
	var errs []error
	for i, m := range linked {
		l, err := licenceIn(dirs[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("licence of %s %s: %w", m.Path, m.Version, err))
			continue
		}
		l.module = m
		out = append(out, l)
	}
	return out, errors.Join(errs...)
}

// licenceIn finds the licence in a module's folder.
func licenceIn(dir string) (licence, error) {
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return licence{}, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return licence{}, err
			}
			const least = 75 // percent of the text that is the licence's own words
			if c := licensecheck.Scan(text); c.Percent >= least && len(c.Match) > 0 {
				return licence{id: c.Match[0].ID, text: string(text)}, nil
			}
		}
	}
	return licence{}, errors.New("no file that is a known one")
}

// notices are all licences as one text.
func (p *program) notices() string {
	var out strings.Builder
	out.WriteString("What is linked into this program, and its terms.\n")
	for _, l := range p.terms {
		fmt.Fprintf(&out, "\n%s\n%s %s (%s)\n%s\n\n%s\n", strings.Repeat("=", 72), l.module.Path, l.module.Version, l.id, strings.Repeat("=", 72), strings.TrimSpace(l.text))
	}
	return out.String()
}
