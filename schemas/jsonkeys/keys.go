// Package jsonkeys reads JSON and refuses what encoding/json passes over: a member that stands
// twice in an object, of which the last would count here and the first, or none, in other programs.
package jsonkeys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// RepeatError is a key that stands in its object for the second time, at a line and a column
// (in bytes), both from 1 on.
type RepeatError struct {
	Key          string
	Line, Column int
}

func (r *RepeatError) Error() string {
	return fmt.Sprintf("line %d, column %d: %q stands twice in its object: keep one", r.Line, r.Column, r.Key)
}

// Unmarshal is [json.Unmarshal] for JSON that somebody else may have written: a key that
// stands twice in its object is a [*RepeatError], about fold see [Repeated].
func Unmarshal(data []byte, to any, fold bool) error {
	if err := json.Unmarshal(data, to); err != nil {
		return err
	}
	if r := Repeated(data, fold); r != nil {
		return r
	}
	return nil
}

// Repeated returns the first repeated key of data, which is valid JSON; nil: there is
// none. fold takes keys that differ in case alone for one, as decoding into structs does.
func Repeated(data []byte, fold bool) *RepeatError {
	var open []map[string]bool // the keys of each object that is open; nil: an array
	key := false               // the next string is one
	for at := 0; at < len(data); at++ {
		switch data[at] {
		case '{':
			open, key = append(open, map[string]bool{}), true
		case '[':
			open, key = append(open, nil), false
		case '}', ']':
			open, key = open[:max(0, len(open)-1)], false
		case ',':
			key = len(open) > 0 && open[len(open)-1] != nil
		case '"':
			from := at
			for at++; at < len(data) && data[at] != '"'; at++ {
				if data[at] == '\\' {
					at++
				}
			}
			if !key {
				continue
			}
			key = false
			name := text(data[from:min(at+1, len(data))])
			same := name
			if fold {
				same = strings.ToLower(name)
			}
			if known := open[len(open)-1]; known[same] {
				return &RepeatError{name, bytes.Count(data[:from], []byte{'\n'}) + 1, from - bytes.LastIndexByte(data[:from], '\n')}
			}
			open[len(open)-1][same] = true
		}
	}
	return nil
}

// text is what a string in quotes stands for.
func text(quoted []byte) string {
	var name string
	if bytes.IndexByte(quoted, '\\') < 0 && len(quoted) > 1 {
		return string(quoted[1 : len(quoted)-1])
	}
	if json.Unmarshal(quoted, &name) != nil {
		return string(quoted)
	}
	return name
}
