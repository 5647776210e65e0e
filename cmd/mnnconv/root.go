package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mnnconv/schemas/disk"
)

// grace is how long a command may clean up after Ctrl-C or SIGTERM, and removing how
// long the program then removes what it began to write: a second in all.
const (
	grace    = 400 * time.Millisecond
	removing = 400 * time.Millisecond
)

// app is what every command gets of the world.
type app struct {
	in       io.Reader
	out, err io.Writer
	disk     *disk.Disk    // that files are written to
	grace    time.Duration // 0: the usual
	removing time.Duration // 0: the usual

	mu        sync.Mutex
	ends      []*func() // what is done when the program ends, however it ends
	interrupt *func()   // what Ctrl-C does instead of ending the command, once
}

// run executes one command line and returns its exit code. The first Ctrl-C or
// SIGTERM cancels the command; a second one, or the end of its grace, ends the
// program at once.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	return (&app{in: in, out: out, err: errOut, disk: &disk.Disk{}}).run(args)
}

func (a *app) run(args []string) int {
	defer a.end()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // a write to a closed pipe is an error, not a death that leaves temporary files

	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = a.execute(ctx, args)
	}()
	for {
		select {
		case <-done:
			return a.report(err)
		case s := <-signals:
			if s == os.Interrupt && a.interrupted() {
				continue
			}
			stopped := errInterrupted
			if s == syscall.SIGTERM {
				stopped = errTerminated
			}
			cancel(stopped)
			select {
			case <-done:
			case <-signals:
			case <-time.After(cmp.Or(a.grace, grace)):
			}
			a.end()
			return a.report(stopped)
		}
	}
}

// execute parses the command line and runs its command.
func (a *app) execute(ctx context.Context, args []string) (err error) {
	defer a.recovered(&err)
	root := newRootCmd(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	out := &watched{w: a.out}
	root.SetOut(out)
	root.SetErr(a.err)
	addDefaults(root)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return out.err
}

// watched remembers the first error of writing: cobra writes help and forgets
// what came of it.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// recovered turns a panic, which is a broken invariant, into an error that says
// where.
func (a *app) recovered(err *error) {
	r := recover()
	if r == nil {
		return
	}
	where := ""
	pcs := make([]uintptr, 64)
	frames := goruntime.CallersFrames(pcs[:goruntime.Callers(3, pcs)])
	for more := true; more && where == ""; {
		var f goruntime.Frame
		f, more = frames.Next()
		if strings.HasPrefix(f.Function, "mnnconv") || strings.HasPrefix(f.Function, "main.") {
			where = fmt.Sprintf(" (%s, line %d)", f.Function, f.Line)
		}
	}
	*err = fmt.Errorf("%w: %v%s", errInternal, r, where)
}

// tempDir makes a folder that is removed when the program ends.
func (a *app) tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "mnnconv-")
	if err == nil {
		a.atEnd(func() { os.RemoveAll(dir) })
	}
	return dir, err
}

// atEnd has f called when the program ends, however it ends, or earlier by the
// function it returns.
func (a *app) atEnd(f func()) (now func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ends = append(a.ends, &f)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if i := slices.Index(a.ends, &f); i >= 0 {
			a.ends = slices.Delete(a.ends, i, i+1)
			f()
		}
	}
}

func (a *app) end() {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(a.removing, removing))
	defer cancel()
	for _, left := range a.disk.Abandon(ctx) { // a command that was cut off may be writing yet
		fmt.Fprintf(a.err, "mnnconv: %s of what was begun is left, %s, since the disk is slow to free it: the same command removes it first, or you may\n",
			left.Path, cmp.Or(bytesText(left.Bytes), "0 B"))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range slices.Backward(a.ends) {
		(*f)()
	}
	a.ends = nil
}

// onInterrupt has the next Ctrl-C call f instead of ending the command, until the
// function that it returns is called.
func (a *app) onInterrupt(f func()) (over func()) {
	set := func(f *func()) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.interrupt = f
	}
	set(&f)
	return func() { set(nil) }
}

// interrupted does what Ctrl-C is to do instead of ending the command, if anything.
func (a *app) interrupted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.interrupt
	a.interrupt = nil
	if f != nil {
		(*f)()
	}
	return f != nil
}

func newRootCmd(a *app) *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "mnnconv",
		Short: "Convert, inspect and run ONNX models over devices whose memories are apart",
		Long: "mnnconv reads a model folder or an .onnx file, places its parts on devices, cuts it\n" +
			"there, shows every copy between memories, and runs it.\n\n" +
			"Results go to stdout, everything else to stderr. Every flag can also be given as the\n" +
			"environment variable that its help names; the flag wins. A flag that changes nothing is\n" +
			"refused; a variable that says nothing to a command is not.\n\n" + exitHelp(),
		Example:                    "  mnnconv demo\n  mnnconv run FOLDER --image picture.png -p \"Describe the image.\"\n  mnnconv run FOLDER --image picture.png -p \"What is it?\" --place vision=sim:0",
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true,
		SilenceUsage:               true,
		Args:                       noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				_, err := fmt.Fprintln(a.out, readVersion())
				return err
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return setFromEnvironment(cmd) },
	}
	// Cobra's own flag prints by text/template, which keeps every method of the program alive.
	root.Flags().BoolVarP(&version, "version", "v", false, "version for mnnconv")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(
		newDemoCmd(a),
		newRunCmd(a),
		newChatCmd(a),
		newServeCmd(a),
		newConvertCmd(a),
		newValidateCmd(a),
		newCompareCmd(a),
		newBenchCmd(a),
		newBisectCmd(a),
		newInspectCmd(a),
		newReportCmd(a),
		newDevicesCmd(a),
		newPreprocessCmd(a),
		newTokenizeCmd(a),
		newVersionCmd(a),
	)
	for _, cmd := range root.Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage += " [" + variable(f.Name) + "]" })
	}
	return root
}

// addDefaults adds cobra's own commands, once the root has its outputs. Left to
// themselves they print help for what they do not know, and call that success.
func addDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args = noCommand
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range cmd.Commands() {
				shell.Args = noCommand
			}
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err != nil {
					return usagef("%w", err)
				}
				return noCommand(found, rest)
			}
		}
	}
}

// noCommand refuses the name of a command that there is not below this one.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("unknown command %q; %s", args[0], hint)
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "MNNCONV_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setFromEnvironment gives flags that are not on the command line the value of
// their variable, if that is not empty. A flag that may be repeated takes several
// values, separated as in PATH.
func setFromEnvironment(cmd *cobra.Command) error {
	var errs []error
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		text := os.Getenv(variable(f.Name))
		if f.Changed || text == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		values := []string{text}
		if strings.HasSuffix(f.Value.Type(), "...") {
			values = strings.Split(text, string(os.PathListSeparator))
		}
		for _, v := range values {
			if err := cmd.LocalFlags().Set(f.Name, v); err != nil {
				errs = append(errs, usagef("environment variable %s: %w", variable(f.Name), err))
			}
		}
		f.Annotations = map[string][]string{fromEnvironment: nil}
	})
	return errors.Join(errs...)
}

// list is a flag that may be repeated.
type list struct {
	values *[]string
	kind   string
}

func (l list) Set(v string) error { *l.values = append(*l.values, v); return nil }
func (l list) Type() string       { return l.kind + "..." }
func (l list) String() string     { return "" }

// args checks the number of arguments and says what they are.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		return usagef("%s, want %s; see `%s --help`", plural(len(args), "argument"), what, cmd.CommandPath())
	}
}
