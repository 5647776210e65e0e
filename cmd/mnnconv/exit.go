package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models/chat"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/models/qwen25vl"
	"mnnconv/models/tokenizer"
	"mnnconv/partition"
	"mnnconv/passes"
	"mnnconv/passes/quantize"
	"mnnconv/runtime"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/npy"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
	"mnnconv/schemas/pack"
)

// Errors of the command line itself.
var (
	errUsage       = errors.New("usage")
	errInternal    = errors.New("internal error")
	errDiffer      = errors.New("results differ")
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

// exits maps errors to exit codes, the only ones there are: the first line that
// an error is decides. next is what to do, where the errors themselves do not
// say it.
var exits = []struct {
	err  error
	code int
	next string
}{
	{errInternal, 1, "please report it"},
	{errInterrupted, 130, ""},
	{errTerminated, 143, ""},
	{syscall.EPIPE, 141, ""},
	{errUsage, 2, ""},
	{partition.ErrRules, 2, "write DEVICE or PATH=DEVICE,...; `mnnconv devices` lists devices, `mnnconv inspect` paths"},
	{passes.ErrTypes, 2, "`mnnconv inspect --nodes` lists paths"},
	{passes.ErrRange, 5, ""},
	{quantize.ErrSpec, 2, "see `mnnconv convert --help`"},
	{quantize.ErrBudget, 8, "allow more, or fewer bits"},
	{quantize.ErrValues, 3, ""},
	{mnnconv.ErrWeights, 5, "fetch the weights again, or export at another dtype"},
	{runtime.ErrSchedule, 2, ""},
	{runtime.ErrChecks, 2, ""},
	{errDiffer, 10, ""},
	{runtime.ErrValues, 9, "the weights may overflow their dtype, or a kernel is wrong: run that node's stage on the cpu, or have it compute in another, such as with --dtype vision=fp32"},

	{syscall.ENOSPC, 8, "make room, or write elsewhere"},
	{syscall.EDQUOT, 8, "make room, or write elsewhere"},
	{syscall.EROFS, 8, "write elsewhere"},
	{disk.ErrWrite, 8, ""},
	{pack.ErrExists, 8, ""},
	{disk.ErrBusy, 8, ""},
	{partition.ErrProfile, 3, ""},
	{errBench, 3, ""},
	{pack.ErrDamaged, 3, ""},
	{pack.ErrNewer, 3, ""},
	{partition.ErrPolicy, 2, ""},
	{partition.ErrMemory, 8, "lower -c, --max-images or --max-pixels, raise the limit, or place parts elsewhere"},
	{runtime.ErrMemory, 8, "lower -c or --max-pixels, or place parts elsewhere"},
	{partition.ErrLimit, 8, "raise -c, or lower --max-pixels"},
	{onnx.ErrLimit, 8, ""},
	{graph.ErrLimit, 8, ""},
	{picture.ErrLimit, 8, ""},
	{chat.ErrLimit, 8, ""},
	{qwen25vl.ErrPrompt, 8, ""},
	{errTooMany, 8, ""},
	{errLine, 3, ""},

	{runtime.ErrUnavailable, 7, "`mnnconv devices` lists what is there"},
	{partition.ErrPlacement, 6, ""},

	{onnx.ErrLink, 3, "copy the files (cp -rL), or name the folder that holds them with --allow-links"},
	{onnx.ErrMalformed, 3, "check the download, or export the model again"},
	{mnnconv.ErrSource, 3, ""},
	{npy.ErrMalformed, 3, ""},
	{picture.ErrMalformed, 3, ""},
	{mnnconv.ErrRecording, 3, "give the folder that --record or bisect --save-case wrote"},
	{picture.ErrConfig, 3, "fetch the file again, or give the folder that the exporter wrote"},
	{tokenizer.ErrMalformed, 3, "fetch the tokenizer's file again"},
	{chat.ErrMalformed, 3, "correct the template, or remove it to use Qwen2.5-VL's own"},
	{generate.ErrMalformed, 3, "correct the file, or remove it"},
	{qwen25vl.ErrMissing, 3, "add the missing file to the folder"},
	{qwen25vl.ErrConfig, 3, "give the folder that the exporter wrote, with its side files"},
	{graph.ErrCycle, 3, "export the model again"},
	{graph.ErrInvalid, 3, "export the model again"},

	{onnx.ErrUnsupported, 4, "export at another opset or dtype"},
	{op.ErrUnsupported, 4, "export the model without this operator, or add it to schemas/op"},
	{npy.ErrUnsupported, 4, ""},
	{picture.ErrUnsupported, 4, "convert the picture to PNG"},
	{tokenizer.ErrUnsupported, 4, ""},
	{chat.ErrUnsupported, 4, ""},
	{qwen25vl.ErrFamily, 4, ""},
	{qwen25vl.ErrGeometry, 4, "the decoder alone runs, from a folder without the vision tower"},
	{qwen25vl.ErrFixedGrid, 4, "export the vision tower with dynamic axes"},

	{graph.ErrType, 5, ""},
	{op.ErrInput, 5, ""},

	{generate.ErrOption, 2, ""},
	{picture.ErrOption, 2, "see --min-pixels and --max-pixels"},
	{runtime.ErrLost, 9, "start again, or place its parts on another device, such as cpu; one that is only slow needs a longer --device-timeout"},
	{runtime.ErrExecution, 9, ""},
	{runtime.ErrAddress, 9, ""},
	{generate.ErrLogits, 9, "the weights may overflow their dtype: have their stage compute in another, such as with --dtype vision=fp32 or --dtype fp32"},

	{syscall.EISDIR, 3, "name a file in it"},
	{syscall.ENOTDIR, 3, "name a folder"},
	{fs.ErrNotExist, 3, "check the path"},
	{fs.ErrPermission, 3, "check who may read it"},
}

// exitHelp is the list of exit codes in the help.
func exitHelp() string {
	return "Exit codes: 0 ok, 1 internal error, 2 wrong usage, 3 missing or malformed input, 4 operator,\n" +
		"opset or dtype unknown to mnnconv, 5 type or contract violation, 6 no valid placement,\n" +
		"7 device unavailable, 8 out of memory or disk, or over a limit, 9 execution failed,\n" +
		"10 results differ, 130 interrupted, 141 the reader of stdout went away, 143 terminated."
}

// exitOf returns the exit code of an error and what to do about it.
func exitOf(err error) (code int, next string) {
	for _, e := range exits {
		if errors.Is(err, e.err) {
			return e.code, e.next
		}
	}
	if errors.As(err, new(*fs.PathError)) { // a folder instead of a file, say
		return 3, ""
	}
	return 1, exits[0].next
}

// report prints an error, a line for each that was joined, and returns its exit
// code. An answer that nobody reads any more needs no message.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	code, next := exitOf(err)
	if errors.Is(err, syscall.EPIPE) {
		return code
	}
	all := lines(err)
	if most := 20; len(all) > most {
		all = append(all[:most], fmt.Sprintf("… and %d more", len(all)-most))
	}
	if next != "" {
		all[len(all)-1] += "; " + next
	}
	for _, line := range all {
		fmt.Fprintf(a.err, "mnnconv: %s\n", line)
	}
	return code
}

// lines returns the messages of an error: one, or one for each error that was
// joined into it, however deep.
func lines(err error) []string {
	text := err.Error()
	var inner []error
	switch e := err.(type) { //nolint:errorlint // it goes down the tree itself
	case *fs.PathError:
		path := printable(e.Path)
		if path == "" {
			path = `""`
		}
		return []string{path + ": " + printable(e.Err.Error())}
	case interface{ Unwrap() []error }:
		inner = e.Unwrap()
		if joined := errors.Join(inner...); joined != nil && joined.Error() == text {
			var out []string
			for _, e := range inner {
				out = append(out, lines(e)...)
			}
			return out
		}
	case interface{ Unwrap() error }:
		inner = []error{e.Unwrap()}
	}
	if len(inner) > 0 {
		if last := inner[len(inner)-1]; last != nil {
			if before, ok := strings.CutSuffix(text, last.Error()); ok {
				out := lines(last)
				for i := range out {
					out[i] = printable(before) + out[i]
				}
				return out
			}
		}
	}
	return []string{printable(text)}
}

// printable escapes what would move the cursor or hide text: names come from
// files that are not to be trusted.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == unicode.ReplacementChar || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := fmt.Sprintf("%q", string(r))
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// usagef is an error of the command line.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// usageError keeps the word "usage" out of messages.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }
func (e usageError) Unwrap() error      { return e.error }
