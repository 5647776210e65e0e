package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/runtime/host"
)

// modelOptions are the flags of commands that read a model.
type modelOptions struct {
	flags                *pflag.FlagSet // of the command
	place, fallback      string
	devices              string
	threads              int
	timeout              time.Duration
	math                 string
	state                string
	dtype                string
	minPixels, maxPixels int
	links                []string // folders that links to weights may lead into
}

const srcArg = "SRC, a model folder, a package or an .onnx file"

func (o *modelOptions) addPlace(cmd *cobra.Command) {
	o.flags = cmd.Flags()
	cmd.Flags().StringVar(&o.place, "place", "", "`RULES` for what runs where: DEVICE, or PATH=DEVICE,... such as vision=sim:0,llm.layers.0-1=sim:1, or @FILE.yaml, or auto; the rest runs on cpu")
	cmd.Flags().StringVar(&o.devices, "devices", "", "plan for the devices in `FILE`, which devices --json wrote, or of a machine known by name: "+strings.Join(partition.ShippedNames(), ", "))
	cmd.Flags().StringVar(&o.fallback, "fallback", "", "run on `DEVICE` what the device chosen by --place lacks an operator for, and say so")
}

// stateType reads what --state takes.
func stateType(name string) (d graph.DType, ok bool) {
	switch name {
	case "":
		return graph.Undefined, true
	case "int8":
		return graph.Int8, true
	}
	return passes.TypeNamed(name)
}

// addState adds the flags for types of float.
func (o *modelOptions) addState(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.dtype, "dtype", "", "compute in another type of float than the model does: `PATH=TYPE`,... such as vision=fp32, with TYPE fp32, fp16 or bf16 and PATH as in --place, or one TYPE for all; by itself a vision tower exported in float16, which overflows there, computes in bf16 on GPUs, unless weights of it are codes, and in fp32 elsewhere")
	cmd.Flags().StringVar(&o.state, "state", "", "keep keys and values (the KV cache) as `TYPE`: fp32, fp16, bf16 or int8 (codes of 8 bits with a scale for each vector); as the model computes them, or as the package does, by default")
}

// noteAlone says that slots do not share steps, where a model's graphs take one sequence.
func (a *app) noteAlone(src string, slots int, s *mnnconv.Source) {
	if slots < 2 || s.Model.Batches() {
		return
	}
	instead := ""
	if s.Package != nil {
		instead = fmt.Sprintf("; where its export allows it, they do after: mnnconv convert EXPORT --batched -o %s --force", printable(src))
	}
	fmt.Fprintf(a.err, "mnnconv: note: the graphs of %s take one sequence at a time: slots do not share their steps%s\n", printable(src), instead)
}

func (o *modelOptions) addLinks(cmd *cobra.Command) {
	cmd.Flags().Var(list{&o.links, "DIR"}, "allow-links", "follow links to weights that lie beneath this folder, such as a model cache; may be repeated")
}

func (o *modelOptions) addThreads(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&o.threads, "threads", "t", 0, "`N` processors to use; 0: all that affinity and cgroup allow")
	cmd.Flags().StringVar(&o.math, "math", "", "`MODE` of products with quantised weights on cpu and sim: exact, or int8act (activations quantised to 8 bits by the block, faster), or fast (that, or activations and weights rounded to bfloat16 where AMX makes it faster yet), or PATH=MODE,... such as llm=int8act, with PATH as in --place; exact by default")
}

// mostThreads is more than processors that share a memory have.
const mostThreads = 1024

// deviceTimeout is long: PoCL may need minutes for the prompt of a large model.
const deviceTimeout = 10 * time.Minute

func (o *modelOptions) addTimeout(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&o.timeout, "device-timeout", deviceTimeout, "give a device up that has not ended what it was given after `TIME`; 0: never")
}

func (o *modelOptions) addPixels(cmd *cobra.Command) {
	cmd.Flags().IntVar(&o.minPixels, "min-pixels", 0, "enlarge pictures to `N` pixels at least; 0: as the model says")
	cmd.Flags().IntVar(&o.maxPixels, "max-pixels", 0, "shrink pictures to `N` pixels at most; 0: as the model says")
}

// wire checks the options and hands them to the library.
func (o *modelOptions) wire(a *app) (mnnconv.Options, error) {
	for _, f := range []struct {
		flag  string
		value int
	}{{"--threads", o.threads}, {"--min-pixels", o.minPixels}, {"--max-pixels", o.maxPixels}} {
		if f.value < 0 {
			return mnnconv.Options{}, usagef("%s %d: want 0 or more", f.flag, f.value)
		}
	}
	if o.threads > mostThreads {
		return mnnconv.Options{}, usagef("--threads %d: want 0 (all) to %d", o.threads, mostThreads)
	}
	if o.minPixels > 0 && o.maxPixels > 0 && o.minPixels > o.maxPixels {
		return mnnconv.Options{}, usagef("--min-pixels %d is over --max-pixels %d", o.minPixels, o.maxPixels)
	}
	for _, dir := range o.links {
		if info, err := os.Stat(dir); err != nil {
			return mnnconv.Options{}, fmt.Errorf("--allow-links: %w", err)
		} else if !info.IsDir() {
			return mnnconv.Options{}, usagef("--allow-links %s: not a folder", dir)
		}
	}
	if o.timeout < 0 {
		return mnnconv.Options{}, usagef("--device-timeout %v: want 0 or more", o.timeout)
	}
	math, err := host.ParseMath(o.math)
	if err != nil {
		return mnnconv.Options{}, usagef("--math: %w", err)
	}
	state, ok := stateType(o.state)
	if !ok {
		return mnnconv.Options{}, usagef("--state %s: want fp32, fp16, bf16 or int8", printable(o.state))
	}
	w := wire(o.threads, math, o.timeout)
	w.Load.State = state
	if o.dtype != "" {
		if w.Load.Types, err = passes.ParseTypes(o.dtype); err != nil {
			return mnnconv.Options{}, usagef("--dtype: %w", err)
		}
	}
	w.Load.ONNX.AllowLinks = o.links
	if w.Devices, err = readDevices(o.devices); err != nil {
		return mnnconv.Options{}, err
	}
	w.Place, w.Fallback = o.place, o.fallback
	w.Note = func(text string) { fmt.Fprintf(a.err, "mnnconv: note: %s\n", printable(text)) }
	w.Load.MinPixels, w.Load.MaxPixels = o.minPixels, o.maxPixels
	// Rules and devices are checked before a large model is read.
	_, err = mnnconv.Targets(w)
	return w, err
}

// readDevices reads profiles from a file, or those of a machine that is known by
// name.
func readDevices(name string) ([]partition.Profile, error) {
	if name == "" {
		return nil, nil
	}
	p, err := partition.ReadProfiles(name)
	if errors.Is(err, fs.ErrNotExist) {
		if known, ok := partition.Shipped(name); ok {
			return known, nil
		}
		return nil, fmt.Errorf("--devices: %w (machines known by name: %s)", err, strings.Join(partition.ShippedNames(), ", "))
	}
	return p, err
}

// load reads a model. The caller closes it.
func (o *modelOptions) load(a *app, path string, w mnnconv.Options) (*mnnconv.Source, error) {
	p := a.progress("reading "+printable(filepath.Base(path)), -1, false)
	defer p.end()
	s, err := mnnconv.Load(path, w)
	if err != nil {
		return nil, err
	}
	if err := o.unheeded(s, w); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.Recut(w) {
		p.end()
		fmt.Fprintf(a.err, "mnnconv: note: cut anew in memory by --place; the package's own placement (%s) is set aside\n", printable(cmp.Or(s.Package.Rules, "cpu")))
	}
	return s, nil
}

// note tells people how a model was read.
func (a *app) note(s *mnnconv.Source) {
	for _, n := range s.Info.Notes {
		fmt.Fprintf(a.err, "mnnconv: note: %s\n", printable(n))
	}
}

// noteWidened tells people of types of float that were chosen for them.
func (a *app) noteWidened(s *mnnconv.Source) {
	for _, n := range s.WidenedNotes() {
		fmt.Fprintf(a.err, "mnnconv: note: %s\n", printable(n))
	}
}

// fileSize is the size of a regular file; ok is false if there is none.
func fileSize(path string) (size int64, ok bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}
