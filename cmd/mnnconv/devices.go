package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
)

// maxOrdinal bounds the devices asked for of one backend.
const maxOrdinal = 64

func newDevicesCmd(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List devices, and what to write after --place",
		Args:  args(0, 0, "none"),
		RunE:  func(*cobra.Command, []string) error { return runDevices(a.out, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

// device is a profile and how to use it.
type device struct {
	partition.Profile
	Place string `json:"place"` // what to write after --place to run the vision tower there
}

func runDevices(w io.Writer, asJSON bool) error {
	list := []device{}
	for _, b := range wire(0, host.Math{}).Backends {
		for i := range maxOrdinal {
			p, err := b.Profile(i)
			if errors.Is(err, runtime.ErrUnavailable) {
				break
			}
			if err != nil {
				return err
			}
			list = append(list, device{p, "vision=" + p.Name})
		}
	}
	if asJSON {
		return writeJSON(w, struct {
			SchemaVersion int      `json:"schema_version"`
			Devices       []device `json:"devices"`
		}{schemaVersion, list})
	}
	t := table{{"device", "memory", "alignment", "what", "run the vision tower there"}}
	for _, d := range list {
		t.add(d.Name, bytesText(d.Memory), bytesText(d.Align), printable(d.Vendor), "--place "+d.Place)
	}
	return t.write(w, "")
}
