package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
)

// maxLine bounds a line of JSON, in bytes.
const maxLine = 64 << 20

// errLine: a line of a file of JSON lines is not what it must be.
var errLine = errors.New("malformed line")

// readLine reads a line without its end, of at most most bytes. With io.EOF it
// may return the last one.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > most {
			return nil, fmt.Errorf("%w: more than %d bytes", errLine, most)
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}
