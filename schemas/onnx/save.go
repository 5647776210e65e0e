package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"mnnconv/schemas/disk"
)

// SaveOptions say where weights go.
type SaveOptions struct {
	// External is the name of the data file that Save writes beside the model;
	// without it weights are stored in the model, up to protobuf's 2 GiB.
	External string
	// Threshold is the size in bytes from which a weight goes there; 1024.
	Threshold int64
	// Align is what the offsets in the data file are multiples of; 64.
	Align int64
	// Data, instead of External, is a data file that the caller writes.
	Data *Data
	// Annotate keeps, in metadata, what ONNX has no field for: canonical paths,
	// placement, spaces, states and exporters' names; and writes extents as dims
	// where otherwise import's own symbols become the exporter's names again.
	// Options.Annotations reads it back.
	Annotate bool
	// Disk is what Save writes to; nil: the system's.
	Disk *disk.Disk
	// Functions are written into the model for runtimes that lack the operator.
	Functions []Function
}

// maxModel is protobuf's limit of a message.
const maxModel = math.MaxInt32

// Write writes the model, and its large weights to o.Data if that is given.
// Weights are streamed.
func Write(w io.Writer, m *Model, o SaveOptions) error {
	if o.External != "" {
		return errors.New("Write takes SaveOptions.Data where Save takes External")
	}
	if o.Threshold <= 0 {
		o.Threshold = 1024
	}
	return m.Guard(func() error {
		p, err := encodeModel(m, o)
		if err != nil {
			return err
		}
		if p.size > maxModel {
			return limited("the model has %d bytes, protobuf's limit is 2 GiB: save its weights as external data", p.size)
		}
		_, err = p.WriteTo(w)
		return err
	})
}

// Save writes the model to path, and its large weights to the file o.External
// beside it. Each file is written under another name, synced and renamed, so that
// a reader sees the old or the new one and never a part; an error before the
// renames leaves both as they were. Between the two renames the old model is
// beside the new data: to replace such a pair as one, save into a new folder and
// rename that.
func Save(path string, m *Model, o SaveOptions) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	var data, model *disk.File
	defer func() {
		data.Discard()
		model.Discard()
		if err != nil {
			err = fmt.Errorf("save %s: %w", path, err)
		}
	}()
	if name := o.External; name != "" {
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) || name == base {
			return fmt.Errorf("%s is no name of a data file beside the model", quote(name))
		}
		if data, err = o.Disk.Create(filepath.Join(dir, name)); err != nil {
			return err
		}
		o.External, o.Data = "", NewData(name, data, o.Align)
	}
	if model, err = o.Disk.Create(filepath.Join(dir, base)); err != nil {
		return err
	}
	if err = Write(model, m, o); err != nil {
		return err
	}
	if data == nil {
		return model.Commit()
	}
	if err = model.Finish(); err != nil {
		return err
	}
	if err = data.Commit(); err != nil {
		return err
	}
	return model.Commit()
}
