package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mnnconv"
	"mnnconv/partition"
	"mnnconv/passes/quantize"
)

// quantizeOptions are the flags of commands that store weights in fewer bits.
type quantizeOptions struct {
	spec      string
	budget    string
	calibrate string
}

// quantizeHelp explains what the flags take.
const quantizeHelp = `--quantize takes a list of PATH=FORMAT, or one FORMAT for all; the first that matches a weight
decides, and what none matches stays as it is. PATH is a canonical path (see inspect --nodes) and
all below it, such as vision, embed, llm, head or llm.layers.0-3.mlp.down, or a /regular
expression/. FORMAT is

  TYPE[:BLOCK][:asym][:scales8][:METHOD]

  TYPE    int4, int8, fp16, bf16, or keep
  BLOCK   numbers that share a scale: 16, 32 (by itself), 64, 128 or 256
  asym    blocks have zero points too; without it codes are symmetric
  scales8 a scale takes 8 bits, times a factor for each row; without it, or with scales16, it
          is float16
  METHOD  round (by itself), refine (looks for the least error; slower), or gptq (the least
          error in what comes out; needs --calibrate, and is then chosen by itself)

An error is that of a layer's weights, relative to them. gptq makes it larger than round does,
and what comes out better: a budget counts its layers as rounded.

Codes run as MatMulNBits and GatherBlockQuantized here and in onnxruntime. quantize.json in the
package lists each weight with its error.`

func (o *quantizeOptions) addQuantize(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.spec, "quantize", "", "store weights as `SPEC` says, such as int4 or llm=int4:32,vision=int8,head=int8,embed=int8")
	f.StringVar(&o.budget, "quantize-budget", "", "give weights that suffer more bits than their rule: size=`BYTES` of all weights, or error=E that no layer exceeds, those of gptq when rounded")
	f.StringVar(&o.calibrate, "calibrate", "", "choose codes by what questions in `QUESTIONS.jsonl`, as run --batch takes them, bring to each layer")
}

// idle refuses flags that say how to quantise where nothing is.
func (o *quantizeOptions) idle(flags *pflag.FlagSet) error {
	return refuseIdle(flags,
		idle{"quantize", o.spec == "", "when it is empty"},
		idle{"quantize-budget", o.budget == "", "when it is empty"},
		idle{"quantize-budget", o.spec == "", "without --quantize SPEC"},
		idle{"calibrate", o.spec == "", "without --quantize SPEC"},
	)
}

// parse reads the flags; nil: nothing is asked for.
func (o *quantizeOptions) parse(flags *pflag.FlagSet) (*quantize.Options, error) {
	if o.spec == "" {
		return nil, nil
	}
	spec, err := quantize.ParseSpec(o.spec)
	if err != nil {
		return nil, fmt.Errorf("--quantize: %w", err)
	}
	q := &quantize.Options{Spec: spec}
	if spec.Calibrated() && o.calibrate == "" {
		return nil, usagef("--quantize %s: gptq needs --calibrate QUESTIONS.jsonl", o.spec)
	}
	err = refuseIdle(flags, idle{"calibrate", !spec.Calibrates(), "with --quantize " + printable(o.spec) + ", of which no rule is gptq or leaves the method open"})
	if err != nil {
		return nil, err
	}
	if o.budget != "" {
		if q.Budget, err = quantize.ParseBudget(o.budget, partition.ParseSize); err != nil {
			return nil, fmt.Errorf("--quantize-budget: %w", err)
		}
	}
	return q, nil
}

// quantize rewrites the source; a nil result: nothing was asked for.
func (o *convertOptions) quantize(ctx context.Context, s *mnnconv.Source, w mnnconv.Options) (*quantize.Result, error) {
	q, err := o.parse(o.flags)
	if q == nil || err != nil {
		return nil, err
	}
	if o.calibrate != "" {
		switch {
		case s.Model == nil:
			return nil, usagef("--calibrate asks a model questions: %s is one graph", o.src)
		case s.Package != nil:
			return nil, usagef("--calibrate runs a model as its exporter wrote it, and %s is cut: give the exporter's folder, or leave --calibrate out", o.src)
		}
		if q.Calibrate, err = o.calibrator(ctx, o.calibrate, o.src, w); err != nil {
			return nil, err
		}
	}
	q.Table = w.Load.Table
	r, err := mnnconv.Quantize(ctx, s, *q)
	if err == nil && s.Package != nil && len(r.Weights) == 0 {
		return nil, usagef("--quantize %s changes nothing in %s: %s; other codes are made from the exporter's folder", o.spec, o.src, whyKept(r.Report.Kept))
	}
	return r, err
}

// whyKept says why nothing was done, by the first weight.
func whyKept(kept []quantize.Kept) string {
	if len(kept) == 0 {
		return "its rules keep all that they match"
	}
	first := printable(kept[0].Path) + ": " + kept[0].Why
	if len(kept) > 1 {
		first += fmt.Sprintf(", and %d more", len(kept)-1)
	}
	return first
}

// writeQuantized prints the bytes and errors by part, and what was kept.
func writeQuantized(out io.Writer, r *quantize.Report) error {
	type part struct {
		name, to      string
		layers        int
		before, after int64
		worst         quantize.Layer
	}
	var parts []*part
	for _, l := range r.Layers {
		name, _, _ := strings.Cut(l.Path, ".")
		i := slices.IndexFunc(parts, func(p *part) bool { return p.name == name && p.to == l.To })
		if i < 0 {
			i = len(parts)
			parts = append(parts, &part{name: name, to: l.To})
		}
		p := parts[i]
		p.layers++
		p.before += l.BytesBefore
		if l.SharedWith == "" {
			p.after += l.Bytes
		}
		if l.Error >= p.worst.Error {
			p.worst = l
		}
	}
	var t table
	for _, p := range parts {
		after := cmp.Or(bytesText(p.after), "shared")
		t.add(printable(cmp.Or(p.name, "graph")), p.to, plural(p.layers, "weight"), bytesText(p.before)+" → "+after,
			fmt.Sprintf("error up to %.2g %% (%s)", 100*p.worst.Error, printable(p.worst.Path)))
	}
	for _, k := range r.Kept {
		t.add(printable(k.Path), "kept", "", bytesText(k.Bytes), k.Why)
	}
	t.add("all", "", "", bytesText(r.BytesBefore)+" → "+bytesText(r.Bytes), fmt.Sprintf("error %.2g %%", 100*r.Error))
	return t.write(out, "  ")
}
