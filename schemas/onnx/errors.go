package onnx

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// What a file can be refused for.
var (
	// ErrMalformed: the file breaks ONNX's or protobuf's rules, or its external
	// data is not to be trusted.
	ErrMalformed = errors.New("malformed ONNX model")
	// ErrUnsupported: a legal file that uses a version, dtype or feature that
	// mnnconv does not know.
	ErrUnsupported = errors.New("unsupported ONNX feature")
	// ErrLimit: the file goes over one of the limits in Options.
	ErrLimit = errors.New("limit exceeded")
	// ErrLink: external data is a link, or lies beneath one, that
	// [Options.AllowLinks] does not allow. It wraps ErrMalformed.
	ErrLink = fmt.Errorf("%w: link", ErrMalformed)
)

// fault is an error of one of the kinds above whose text need not repeat it.
type fault struct{ kind, text error }

func (f *fault) Error() string   { return f.text.Error() }
func (f *fault) Unwrap() []error { return []error{f.kind, f.text} }

func malformed(format string, args ...any) error {
	return &fault{ErrMalformed, fmt.Errorf(format, args...)}
}

func linked(format string, args ...any) error {
	return &fault{ErrLink, fmt.Errorf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &fault{ErrUnsupported, fmt.Errorf(format, args...)}
}

func limited(format string, args ...any) error {
	return &fault{ErrLimit, fmt.Errorf(format, args...)}
}

const shownName = 256 // characters of a name that a message shows

// quote shows a name from a file: escaped, and cut if it is long.
func quote(name string) string {
	cut := 0
	for range shownName {
		if cut >= len(name) {
			return strconv.Quote(name)
		}
		_, n := utf8.DecodeRuneInString(name[cut:])
		cut += n
	}
	if cut == len(name) {
		return strconv.Quote(name)
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(name[:cut]), len(name))
}

// within puts a position before err and keeps its kind.
func within(err error, format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}
