package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/partition"
)

// validateOptions are the flags of validate.
type validateOptions struct {
	*app
	modelOptions
	src     string
	context int
	json    bool
	strict  bool
}

func newValidateCmd(a *app) *cobra.Command {
	o := &validateOptions{app: a}
	cmd := &cobra.Command{
		Use:   "validate SRC",
		Short: "Check every tensor that crosses from one part of a model to another, without a device",
		Long: "validate cuts a model as run would, opens no device, and checks the contract of every\n" +
			"tensor that crosses a boundary: what both sides take it for, what the model demands of\n" +
			"it, and the limits of the devices. It lists all of them, and all violations at once. Of a\n" +
			"package, all files are also compared with the hashes of when it was written. If nodes are\n" +
			"placed on devices that cannot run them, all of these are listed instead.",
		Example: "  mnnconv validate FOLDER --place vision=sim:0,llm=sim:1",
		Args:    args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return runValidate(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVarP(&o.context, "context", "c", 0, "check limits for `N` tokens of prompt and answer; 0: 4096, or what the model allows")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the contracts as one line of JSON")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "also read every weight, and refuse NaN, infinities and scales of 0")
	o.addPlace(cmd)
	o.addState(cmd)
	o.addLinks(cmd)
	return cmd
}

func runValidate(ctx context.Context, o *validateOptions) (err error) {
	if o.context < 0 {
		return usagef("--context %d: want 0 or more", o.context)
	}
	w, err := o.wire(o.app)
	if err != nil {
		return err
	}
	s, err := o.load(o.app, o.src, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Package != nil {
		if err := s.Package.CheckWeights(ctx); err != nil {
			return err
		}
	}
	if o.strict {
		if err := mnnconv.CheckWeights(ctx, s); err != nil {
			return err
		}
	}
	plans, err := mnnconv.Plan(s, w)
	if misfits := partition.Misfits(err); len(misfits) > 0 {
		return errors.Join(err, o.writeMisfits(misfits))
	}
	if err != nil {
		return err
	}
	set, violations := mnnconv.Contracts(s, plans, o.context)
	if o.json {
		err = writeJSON(o.out, set)
	} else {
		err = writeContracts(o.out, set)
	}
	return errors.Join(violations, err)
}

// writeMisfits lists nodes that their devices cannot run, in the place of contracts.
func (o *validateOptions) writeMisfits(all []partition.Misfit) error {
	if o.json {
		return writeJSON(o.out, struct {
			SchemaVersion int                `json:"schema_version"`
			Misfits       []partition.Misfit `json:"misfits"`
		}{schemaVersion, all})
	}
	t := table{{"phase", "node", "operator", "device", "placed by", "why not there", "devices that can"}}
	for _, m := range all {
		t.add(m.Phase, printable(m.Node), printable(m.Operator), printable(m.Device), printable(m.Cause), printable(m.Reason), cmp.Or(printable(strings.Join(m.Can, ", ")), "none"))
	}
	return t.write(o.out, "")
}

// writeContracts prints the contracts, and what there is to know of them all.
func writeContracts(w io.Writer, set *partition.ContractSet) error {
	err := contractTable(set).write(w, "")
	for _, n := range set.Notes {
		if err == nil {
			_, err = fmt.Fprintf(w, "note: %s\n", printable(n))
		}
	}
	return err
}

// contractTable has a line for each boundary tensor.
func contractTable(set *partition.ContractSet) table {
	t := table{{"boundary", "value", "type", "bytes", "at most", "from", "to", ""}}
	for _, c := range set.Contracts {
		verdict := "OK"
		if n := len(c.Violations); n > 0 {
			verdict = plural(n, "violation")
		}
		t.add(string(c.Edge), printable(c.Value), printable(c.To.Type), printable(c.Bytes), bytesText(c.MostBytes), sideText(c.From), sideText(c.To), verdict)
	}
	return t
}

// sideText names one side of a boundary in a few words.
func sideText(s partition.Side) string {
	what := s.Phase + " caller"
	if s.Partition >= 0 {
		what = s.Phase + " " + strconv.Itoa(s.Partition)
	}
	if s.Stage != "" {
		what += " " + printable(s.Stage)
	}
	return what + " on " + s.Space
}
