package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

// maxOrdinal bounds the devices asked for of one backend.
const maxOrdinal = 64

type devicesOptions struct {
	json, check bool
}

func newDevicesCmd(a *app) *cobra.Command {
	var o devicesOptions
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List devices, and what to write after --place",
		Long: "devices lists the devices that are here with their limits, and for each kind that is not here what was\n" +
			"looked for. With --check it runs the operators' cases on every device.",
		Args: args(0, 0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDevices(cmd.Context(), a.out, o) },
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print one line of JSON")
	cmd.Flags().BoolVar(&o.check, "check", false, "run the operators' cases on each device")
	return cmd
}

// device is a profile and how to use it.
type device struct {
	partition.Profile
	Place string    `json:"place"` // what to write after --place to run the vision tower there
	Check *verdicts `json:"check,omitempty"`

	backend runtime.Backend
}

// absent is a backend without a device here.
type absent struct {
	Backend string `json:"backend"`
	Reason  string `json:"reason"` // what was looked for
}

// verdicts are how a device did with the operators' cases.
type verdicts struct {
	Passed    int      `json:"passed"`
	Operators int      `json:"operators"`
	Failed    []string `json:"failed"`
}

func runDevices(ctx context.Context, w io.Writer, o devicesOptions) error {
	list, missing, err := listDevices(wire(0, host.Math{}, deviceTimeout).Backends)
	if err != nil {
		return err
	}
	differ := 0
	if o.check {
		if differ, err = checkDevices(ctx, list); err != nil {
			return err
		}
	}
	if o.json {
		err = writeJSON(w, struct {
			SchemaVersion int      `json:"schema_version"`
			Devices       []device `json:"devices"`
			Absent        []absent `json:"absent"`
		}{schemaVersion, list, missing})
	} else {
		err = writeDevices(w, list, missing)
	}
	if err == nil && differ > 0 {
		err = fmt.Errorf("%w: %d cases of operators", errDiffer, differ)
	}
	return err
}

// listDevices asks every backend for its devices.
func listDevices(backends []runtime.Backend) ([]device, []absent, error) {
	list, missing := []device{}, []absent{}
	for _, b := range backends {
		for i := range maxOrdinal {
			p, err := b.Profile(i)
			if errors.Is(err, runtime.ErrUnavailable) {
				if i == 0 {
					missing = append(missing, absent{b.Name(), err.Error()})
				}
				break
			}
			if err != nil {
				return nil, nil, err
			}
			list = append(list, device{Profile: p, Place: "vision=" + p.Name, backend: b})
		}
	}
	return list, missing, nil
}

// checkDevices runs the operators' cases on every device, and counts those that differ.
func checkDevices(ctx context.Context, list []device) (differ int, err error) {
	table := op.All()
	for i := range list {
		dev := &list[i]
		c, err := runtime.Conform(ctx, table, dev.backend, dev.Profile, list[0].backend)
		if err != nil {
			return 0, err
		}
		dev.Check = &verdicts{Passed: c.Passed, Operators: len(c.Operators), Failed: []string{}}
		for _, f := range c.Failed {
			dev.Check.Failed = append(dev.Check.Failed, f.Error())
		}
		differ += len(c.Failed)
	}
	return differ, nil
}

// shared lists the names of each device that several backends reach, by its UUID.
func shared(list []device) [][]string {
	of := map[string]int{}
	var all [][]string
	for _, d := range list {
		if d.UUID == "" {
			continue
		}
		i, ok := of[d.UUID]
		if !ok {
			i = len(all)
			of[d.UUID], all = i, append(all, nil)
		}
		all[i] = append(all[i], d.Name)
	}
	return slices.DeleteFunc(all, func(names []string) bool { return len(names) < 2 })
}

func writeDevices(w io.Writer, list []device, missing []absent) error {
	t := table{{"device", "memory", "at once", "alignment", "what", "uuid", "run the vision tower there"}}
	for _, d := range list {
		atOnce := "-"
		if d.MaxAlloc > 0 {
			atOnce = bytesText(d.MaxAlloc)
		}
		t.add(d.Name, bytesText(d.Memory), atOnce, bytesText(d.Align), printable(d.Vendor), cmp.Or(printable(d.UUID), "-"), "--place "+d.Place)
	}
	if err := t.write(w, ""); err != nil {
		return err
	}
	for _, d := range list {
		if d.Products == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s multiplies large matrices by %s\n", d.Name, printable(d.Products)); err != nil {
			return err
		}
	}
	for _, names := range shared(list) {
		if _, err := fmt.Fprintf(w, "%s are one device: they share its memory\n", strings.Join(names, " and ")); err != nil {
			return err
		}
	}
	for _, m := range missing {
		if _, err := fmt.Fprintf(w, "%s is not here: %s\n", m.Backend, printable(m.Reason)); err != nil {
			return err
		}
	}
	for _, d := range list {
		if d.Check == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %d cases of %d operators as known, %d not\n", d.Name, d.Check.Passed, d.Check.Operators, len(d.Check.Failed)); err != nil {
			return err
		}
		for _, f := range d.Check.Failed {
			if _, err := fmt.Fprintf(w, "  %s\n", printable(f)); err != nil {
				return err
			}
		}
	}
	return nil
}
