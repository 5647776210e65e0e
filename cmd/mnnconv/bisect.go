package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/runtime/compare"
)

// bisectOptions are the flags of bisect.
type bisectOptions struct {
	compareOptions
	saveCase string
}

func newBisectCmd(a *app) *cobra.Command {
	o := &bisectOptions{compareOptions: compareOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "bisect SRC (-p TEXT | --input NAME=FILE.npy... | --inputs DIR)",
		Short: "Find the first wrong node of a cut model, and save a small case that shows it",
		Long: "bisect compares as compare does up to the first partition that is wrong by itself, finds\n" +
			"the first wrong node in it, and with --save-case writes the nodes of its kernel as a model\n" +
			"of their own, with the smallest inputs that still show the fault, and prints the command\n" +
			"that replays it. Exit code 10: a node is wrong.",
		Example: "  mnnconv bisect FOLDER --place vision=sim:0 --image picture.png -p \"What is it?\" --save-case case",
		Args:    args(1, 1, srcArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.src = args[0]
			return runBisect(cmd.Context(), o)
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.saveCase, "save-case", "", "write a model and inputs that show the fault to the new folder `DIR`")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what was found as one line of JSON")
	return cmd
}

// bisection is what bisect prints for programs.
type bisection struct {
	SchemaVersion int               `json:"schema_version"`
	Verdict       string            `json:"verdict"` // same or differs
	Phase         string            `json:"phase,omitempty"`
	Part          string            `json:"part,omitempty"` // of the call: prefill, decode
	Partition     int               `json:"partition"`
	Target        string            `json:"target,omitempty"`
	Node          string            `json:"node,omitempty"`   // its canonical path, or its name
	Value         string            `json:"value,omitempty"`  // what it makes
	Covers        []string          `json:"covers,omitempty"` // the other nodes of its kernel
	Why           string            `json:"why,omitempty"`
	Runs          int               `json:"runs"`  // of pieces of the partition on its device
	Nodes         int               `json:"nodes"` // of the partition
	Case          string            `json:"case,omitempty"`
	Reduced       map[string]string `json:"reduced,omitempty"` // symbols of the case's inputs: from what to what
	Replay        []string          `json:"replay,omitempty"`  // the command that shows it again
}

func runBisect(ctx context.Context, o *bisectOptions) (err error) {
	w, err := o.options()
	if err != nil {
		return err
	}
	c, closeAll, err := o.open(w, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	found, err := c.Bisect(func() error { return o.feed(ctx, c) })
	if err != nil {
		return err
	}
	b := bisection{SchemaVersion: schemaVersion, Verdict: compare.Same, Partition: -1}
	if found != nil {
		b.Verdict, b.Phase, b.Part, b.Partition, b.Target = compare.Differs, found.Phase, found.Part, found.Index, found.Target
		b.Node, b.Value, b.Covers, b.Why, b.Runs, b.Nodes = found.First, found.Value, found.Covers, found.Why, found.Runs, found.Nodes
		if o.saveCase != "" {
			if err := o.save(ctx, found, &b); err != nil {
				return err
			}
		}
	}
	if o.json {
		err = writeJSON(o.out, b)
	} else {
		err = o.write(&b)
	}
	if err == nil && found != nil {
		err = fmt.Errorf("%w: %s of %s partition %d (%s) is wrong", errDiffer, b.Node, b.Phase, b.Partition, b.Target)
	}
	return err
}

// save writes the case and sees that it shows the fault.
func (o *bisectOptions) save(ctx context.Context, f *compare.Found, b *bisection) (err error) {
	k, err := mnnconv.SaveCase(ctx, o.disk, f, o.saveCase)
	if err != nil {
		return fmt.Errorf("--save-case: %w", err)
	}
	b.Case, b.Reduced = o.saveCase, map[string]string{}
	for name, from := range k.From {
		if to := k.To[name]; to != from {
			b.Reduced[name] = fmt.Sprintf("%d → %d", from, to)
		}
	}
	b.Replay = []string{"mnnconv", "compare", filepath.Join(o.saveCase, "model.onnx"), "--inputs", filepath.Join(o.saveCase, "inputs"), "--place", k.Place}
	again := compareOptions{app: o.app, modelOptions: modelOptions{place: k.Place, threads: o.threads, timeout: o.timeout}, memoryOptions: memoryOptions{maxImages: 1},
		src: b.Replay[2], recorded: b.Replay[4], tokens: 1, fps: 1, reference: o.reference}
	w, err := again.options()
	if err != nil {
		return fmt.Errorf("replaying the case: %w", err)
	}
	c, closeAll, err := again.open(w, nil)
	if err != nil {
		return fmt.Errorf("replaying the case: %w", err)
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if err := again.feed(ctx, c); err != nil {
		return fmt.Errorf("replaying the case: %w", err)
	}
	if c.Report().Verdict == compare.Same {
		b.Replay = nil
		b.Why = strings.TrimPrefix(b.Why+"; alone, the case does not show it", "; ")
	}
	return err
}

// write says it to people.
func (o *bisectOptions) write(b *bisection) error {
	if b.Verdict == compare.Same {
		_, err := fmt.Fprintln(o.out, "no node is wrong")
		return err
	}
	t := table{{"first wrong node", printable(b.Node)}, {"it makes", printable(b.Value)}}
	if len(b.Covers) > 0 {
		t.add("in one kernel with", printable(strings.Join(b.Covers, ", ")))
	}
	t.add("partition", fmt.Sprintf("%s %d on %s", b.Phase, b.Partition, b.Target))
	if b.Part != "" {
		t.add("during", b.Part)
	}
	if b.Why != "" {
		t.add("because", printable(b.Why))
	}
	t.add("found in", fmt.Sprintf("%s, of %s", plural(b.Runs, "run"), plural(b.Nodes, "node")))
	for _, name := range sortedKeys(b.Reduced) {
		t.add("reduced", printable(name)+" "+b.Reduced[name])
	}
	if len(b.Replay) > 0 {
		t.add("replay", printable(strings.Join(b.Replay, " ")))
	}
	return t.write(o.out, "")
}
