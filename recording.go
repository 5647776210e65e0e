package mnnconv

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mnnconv/graph"
	"mnnconv/runtime/compare"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/jsonkeys"
	"mnnconv/schemas/npy"
)

// ErrRecording: a folder holds no recorded inputs, or not those of this source.
var ErrRecording = errors.New("not a recording")

// callsFile lists the calls of a recording.
const callsFile = "calls.json"

// recording is calls.json: the inputs of each call, in files beside it.
type recording struct {
	SchemaVersion int            `json:"schema_version"`
	Calls         []recordedCall `json:"calls"`
}

type recordedCall struct {
	Phase  string          `json:"phase"`
	Inputs []recordedInput `json:"inputs"`
}

type recordedInput struct {
	Name  string `json:"name"`
	DType string `json:"dtype"` // of bfloat16 the file holds the bits, as uint16
	File  string `json:"file"`
}

// recorder writes calls into a folder as they come, which is made if need be: one
// NAME.npy an input, and calls.json.
type recorder struct {
	disk *disk.Disk
	dir  string
	all  recording
}

// add writes one more call. The list is written last, so that it names only files
// that are there.
func (r *recorder) add(c compare.Call) error {
	if err := r.disk.MakeAll(r.dir); err != nil {
		return err
	}
	call := recordedCall{Phase: c.Phase, Inputs: []recordedInput{}}
	for i, name := range slices.Sorted(maps.Keys(c.Inputs)) {
		t := *c.Inputs[name]
		in := recordedInput{name, t.DType.String(), fmt.Sprintf("%03d-%s-%d.npy", len(r.all.Calls), c.Phase, i)}
		if t.DType == graph.BFloat16 {
			t.DType = graph.Uint16
		}
		if err := npy.Write(r.disk, filepath.Join(r.dir, in.File), &t); err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
		call.Inputs = append(call.Inputs, in)
	}
	r.all.SchemaVersion = 1
	r.all.Calls = append(r.all.Calls, call)
	text, err := json.MarshalIndent(r.all, "", "  ")
	if err != nil {
		return err
	}
	return r.disk.WriteFile(filepath.Join(r.dir, callsFile), append(text, '\n'))
}

// Recorded reads the calls of a folder that a comparison recorded.
func Recorded(dir string) ([]compare.Call, error) {
	path := filepath.Join(dir, callsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all recording
	if err := jsonkeys.Unmarshal(text, &all, true); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrRecording, err)
	}
	if all.SchemaVersion != 1 || len(all.Calls) == 0 {
		return nil, fmt.Errorf("%s: %w: schema_version %d with %d calls, expected 1 and some", path, ErrRecording, all.SchemaVersion, len(all.Calls))
	}
	var calls []compare.Call
	for i, c := range all.Calls {
		call := compare.Call{Phase: c.Phase, Inputs: compare.Trace{}}
		for _, in := range c.Inputs {
			if !filepath.IsLocal(in.File) {
				return nil, fmt.Errorf("%s: %w: call %d: file %q leads out of the folder", path, ErrRecording, i+1, in.File)
			}
			t, err := npy.Read(filepath.Join(dir, in.File))
			if err != nil {
				return nil, err
			}
			if t.DType == graph.Uint16 && in.DType == graph.BFloat16.String() {
				t.DType = graph.BFloat16
			}
			if in.DType != t.DType.String() {
				return nil, fmt.Errorf("%s: %w: call %d: input %q is %s, its file holds %s", path, ErrRecording, i+1, in.Name, cmp.Or(in.DType, "of no dtype"), t.DType)
			}
			call.Inputs[in.Name] = t
		}
		calls = append(calls, call)
	}
	return calls, nil
}
