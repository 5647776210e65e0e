// Package onnx reads and writes ONNX files.
//
// What flows in: the path of an .onnx file, or its bytes. What flows out: a
// [Model] whose Graph holds every node, value and weight of the file, checked:
// names are in SSA form, nodes sorted, captured values of bodies explicit,
// model-local functions inlined. Weights are not copied: a tensor's Data is a
// part of the mapped file, inline or external, and its Source says which.
//
// Everything in a file is hostile. Sizes are checked before memory is
// allocated, counts before loops, and external data is opened beneath the
// model's folder only. See external.go for the layers of that check.
//
// TensorProto is walked with protowire (tensor.go), so that weights stay file
// ranges; every other message is decoded by the generated code of internal/pb.
package onnx

//go:generate go run ./internal/gen internal/pb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mnnconv/graph"
)

// Model is a decoded ONNX file.
type Model struct {
	Graph           *graph.Graph
	IRVersion       int64
	Opsets          map[string]int64 // domain ("" is ai.onnx) to version
	Producer        string
	ProducerVersion string
	Domain          string
	Version         int64
	Doc             string
	Meta            map[string]string
	Size            int64 // bytes of the model file, external data not counted

	files files
}

// Close unmaps the model's files. The Data of the graph's tensors is invalid
// afterwards.
func (m *Model) Close() error { return m.files.close() }

// Load maps and decodes the model at path. External data is looked for beside
// it, or in o.ExternalDir. The caller must Close the model when its weights are
// no longer needed.
//
// Errors wrap [ErrMalformed], [ErrUnsupported] or [ErrLimit]; those of a
// missing file wrap [fs.ErrNotExist].
func Load(path string, o Options) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, malformed("not a regular file but a %s", kindOf(info.Mode())))
	}
	o = o.withDefaults()
	if info.Size() > o.MaxFile {
		return nil, fmt.Errorf("%s: %w", path, tooLarge(info.Size(), o.MaxFile))
	}
	if o.ExternalDir == "" {
		o.ExternalDir = filepath.Dir(path)
	}
	m := &Model{Size: info.Size()}
	data, err := m.files.mapFile(path, f, info.Size())
	if err == nil {
		err = m.decode(filepath.Base(path), data, o)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Decode decodes a model held in memory; the tensors' Data is part of data,
// which must not change while they are used. The name stands for the file in
// messages and in Tensor.Source. External data is refused unless o.ExternalDir
// says where it lies.
func Decode(name string, data []byte, o Options) (*Model, error) {
	o = o.withDefaults()
	m := &Model{Size: int64(len(data))}
	err := error(nil)
	if m.Size > o.MaxFile {
		err = tooLarge(m.Size, o.MaxFile)
	} else {
		err = m.decode(name, data, o)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func (m *Model) decode(name string, data []byte, o Options) error {
	d := newDecoder(name, int64(len(data)), o)
	d.external.files = &m.files
	defer d.external.close()
	return m.Guard(func() error {
		err := d.decodeModel(m, span{b: data})
		if errors.Is(err, ErrMalformed) {
			if kind := sniff(data); kind != "" {
				return malformed("not an ONNX model, looks like %s", kind)
			}
		}
		return err
	})
}

func tooLarge(size, limit int64) error {
	return limited("the file has %d bytes, the limit is %d (protobuf's is 2 GiB): export the model with its weights as external data", size, limit)
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
