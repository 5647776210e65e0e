package qwen25vl

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/jsonkeys"
	"mnnconv/schemas/onnx"
)

// maxHeader bounds the header of a safetensors file.
const maxHeader = 100 << 20

// tableBeside looks for a table of embeddings beside a decoder that takes none of its
// own: the checkpoint's, in model.safetensors or one of its parts. nil: there is
// none.
func (f *folder) tableBeside(width int64) (*graph.Tensor, error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(f.dir), "*.safetensors"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	for _, path := range paths {
		b, unmap, err := onnx.MapFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.unmap = append(f.unmap, unmap)
		t, err := embeddingsIn(b, filepath.Base(path), width)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if t != nil {
			return t, nil
		}
	}
	return nil, nil
}

// embeddingsIn returns the table of a checkpoint's file [vocabulary, width]; nil if
// it holds none.
func embeddingsIn(b []byte, name string, width int64) (*graph.Tensor, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: %d bytes are no safetensors file", ErrConfig, len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader || n > uint64(len(b)-8) {
		return nil, fmt.Errorf("%w: its header is said to have %d bytes, the file has %d", ErrConfig, n, len(b))
	}
	data := b[8+n:]
	var header map[string]json.RawMessage
	if err := jsonkeys.Unmarshal(b[8:8+n], &header, false); err != nil {
		return nil, fmt.Errorf("%w: its header: %w", ErrConfig, err)
	}
	for key, raw := range header {
		if !strings.HasSuffix(key, "embed_tokens.weight") {
			continue
		}
		var e struct {
			DType   string   `json:"dtype"`
			Shape   []int64  `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrConfig, key, err)
		}
		dtypes := map[string]graph.DType{"BF16": graph.BFloat16, "F16": graph.Float16, "F32": graph.Float32}
		d, known := dtypes[e.DType]
		if !known || len(e.Shape) != 2 || e.Shape[1] != width {
			return nil, fmt.Errorf("%w: %q is %.10s %v, the decoder takes embeddings of %d floats: the files are of different models", graph.ErrType, key, e.DType, e.Shape, width)
		}
		elements, err := graph.Elements(e.Shape)
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrConfig, key, err)
		}
		size, _ := d.Bytes(elements)
		if e.Offsets[0] < 0 || e.Offsets[1] > int64(len(data)) || e.Offsets[1]-e.Offsets[0] != size || size == 0 {
			return nil, fmt.Errorf("%w: %q is said to lie at %v of %d bytes, and has %d", ErrConfig, key, e.Offsets, len(data), size)
		}
		return &graph.Tensor{DType: d, Shape: e.Shape, Data: data[e.Offsets[0]:e.Offsets[1]],
			Source: &graph.Range{File: name, Offset: int64(8+n) + e.Offsets[0], Length: size}}, nil
	}
	return nil, nil
}
