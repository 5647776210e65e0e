package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"mnnconv/schemas/jsonkeys"
)

// maxLine bounds a line of JSON, in bytes.
const maxLine = 64 << 20

// errLine: a line of a file of JSON lines is not what it must be.
var errLine = errors.New("malformed line")

// decodeLine reads a line of JSON; the error names the member that is wrong.
func decodeLine(line []byte, to any) error {
	err := jsonkeys.Unmarshal(line, to, true)
	var wrong *json.UnmarshalTypeError
	var twice *jsonkeys.RepeatError
	switch {
	case errors.As(err, &twice): // the caller says which line it is
		return fmt.Errorf("%w: column %d: %q stands twice in its object: keep one", errLine, twice.Column, twice.Key)
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%w: %q cannot be a JSON %s", errLine, wrong.Field, wrong.Value)
	case wrong != nil:
		return fmt.Errorf("%w: a JSON %s, want an object {...}", errLine, wrong.Value)
	case err != nil:
		return fmt.Errorf("%w: %w", errLine, err)
	}
	return nil
}

// readLine reads a line without its end, of at most most bytes. With io.EOF it
// may return the last one.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > most {
			return nil, fmt.Errorf("%w: more than %d bytes", errLine, most)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}
