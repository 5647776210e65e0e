package main

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version says what was built.
type version struct {
	SchemaVersion int    `json:"schema_version"`
	Version       string `json:"version"`
	Commit        string `json:"commit,omitempty"`
	Modified      bool   `json:"modified,omitempty"` // built from a tree with changes
	Go            string `json:"go"`
	Platform      string `json:"platform"`
}

func readVersion() version {
	v := version{SchemaVersion: schemaVersion, Version: "(devel)", Go: goruntime.Version(), Platform: goruntime.GOOS + "/" + goruntime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// tool is the program's name and version.
func (v version) tool() string { return "mnnconv " + v.Version }

// String is one line.
func (v version) String() string {
	s := v.tool()
	if v.Commit != "" {
		s += " (" + v.Commit[:min(12, len(v.Commit))]
		if v.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return fmt.Sprintf("%s, %s, %s", s, v.Go, v.Platform)
}

func newVersionCmd(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what was built",
		Args:  args(0, 0, "none"),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return writeJSON(a.out, readVersion())
			}
			_, err := fmt.Fprintln(a.out, readVersion())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}
