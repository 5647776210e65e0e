package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/onnx"
)

// save gives the model's weights their values and writes it to path, and weights
// to external data beside it. It holds one weight at a time: they are made one
// after the other in the same memory, each from an address of its own, by which
// saving the model then knows that it is in the data already. Without noise, the
// weights are a hole in the file.
func save(path string, m *onnx.Model, n *noise) error {
	f, err := os.Create(path + "_data")
	if err != nil {
		return err
	}
	defer f.Close()
	var rows io.Writer = f
	if n == nil {
		rows = &hole{f}
	}
	w := bufio.NewWriterSize(rows, 1<<20)
	data := onnx.NewData(filepath.Base(path)+"_data", w, 0)

	var list []*graph.Value
	most := int64(0)
	for v := range weights(m.Graph) {
		if v.Const.Data == nil {
			list = append(list, v)
			size, _ := v.Const.DType.Bytes(int64(v.Const.Len()))
			most = max(most, size)
		}
	}
	slices.SortFunc(list, func(a, b *graph.Value) int { return strings.Compare(a.Name, b.Name) })
	memory := make([]byte, most+2*int64(len(list)))
	for i, v := range list {
		t := *v.Const
		size, _ := t.DType.Bytes(int64(t.Len()))
		t.Data = memory[2*i:][:size:size]
		if size < threshold { // goes into the model itself
			t.Data = make([]byte, size)
		}
		v.Const = &t
		if n != nil && t.DType == graph.Float16 {
			n.weight(v.Name, t.Shape, graph.View[uint16](&t))
		} else if n != nil {
			numbers := make([]uint16, t.Len())
			n.weight(v.Name, t.Shape, numbers)
			convert(&t, numbers)
		}
		if size >= threshold {
			if _, err := data.Add(&t); err != nil {
				return err
			}
		}
	}
	if err := onnx.Save(path, m, onnx.SaveOptions{Data: data, Threshold: threshold}); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// threshold is the size in bytes from which weights go to the external data.
const threshold = 1024

// hole grows a file by what is written, without the bytes.
type hole struct{ f *os.File }

func (h *hole) Write(b []byte) (int, error) {
	at, err := h.f.Seek(int64(len(b)), io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	return len(b), h.f.Truncate(at)
}
