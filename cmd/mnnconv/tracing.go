package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"mnnconv/runtime/trace"
)

// traceOptions are the flags of commands that write what they do as a trace.
type traceOptions struct {
	file  string
	nodes bool

	recorder *trace.Recorder // nil: nobody wants to know
}

// What the command itself does, in traces.
var (
	picturesLabel = trace.HostLabel("read pictures")
	arraysLabel   = trace.HostLabel("read arrays")
	answerLabel   = trace.HostLabel("write answer")
)

func (o *traceOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.file, "trace", "", "write what ran when to `FILE`, for ui.perfetto.dev: queues, copies, the host, memory")
	f.BoolVar(&o.nodes, "trace-nodes", false, "with a slice for each kernel in the trace")
}

// start begins to record for a trace, or for sums alone.
func (o *traceOptions) start(sums bool) error {
	if o.file == "" && !sums {
		return nil
	}
	if err := writable("--trace", o.file); err != nil {
		return err
	}
	o.recorder = trace.New(time.Now(), trace.Options{Slices: o.file != "", Nodes: o.nodes})
	return nil
}

// write writes the trace, whatever became of the command.
func (o *traceOptions) write(a *app, command string) error {
	if o.file == "" || o.recorder == nil {
		return nil
	}
	err := a.writeWhole("--trace", o.file, func(w io.Writer) error { return o.recorder.Write(w, command) })
	if err != nil {
		return err
	}
	if n := o.recorder.Lost(); n > 0 {
		fmt.Fprintf(a.err, "mnnconv: note: the trace holds the end alone: its first %d entries made room for later ones\n", n)
	}
	return nil
}
