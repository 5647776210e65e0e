package main

import (
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
func (p *program) licences() ([]licence, error) {
	var out []licence
	var errs []error
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		l, err := licenceOf(p.source, m)
		if err != nil {
			errs = append(errs, fmt.Errorf("licence of %s %s: %w", m.Path, m.Version, err))
			continue
		}
		out = append(out, l)
	}
	return out, errors.Join(errs...)
}

func licenceOf(source string, m *debug.Module) (licence, error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", m.Path)
	list.Dir = source
	dir, err := list.Output()
	if err != nil {
		return licence{}, err
	}
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*"} {
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), pattern))
		if err != nil {
			return licence{}, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return licence{}, err
			}
			const most = 75 // percent of the text that is the licence's own words
			if c := licensecheck.Scan(text); c.Percent >= most && len(c.Match) > 0 {
				return licence{m, c.Match[0].ID, string(text)}, nil
			}
		}
	}
	return licence{}, errors.New("no file that is a known one")
}

// notices are all licences as one text.
func (p *program) notices() (string, error) {
	all, err := p.licences()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString("What is linked into this program, and its terms.\n")
	for _, l := range all {
		fmt.Fprintf(&out, "\n%s\n%s %s (%s)\n%s\n\n%s\n", strings.Repeat("=", 72), l.module.Path, l.module.Version, l.id, strings.Repeat("=", 72), strings.TrimSpace(l.text))
	}
	return out.String(), nil
}
