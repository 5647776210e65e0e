package qwen25vl

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/schemas/op"
)

// checkpoint is a safetensors file with a header and as many bytes of data.
func checkpoint(header string, data int) string {
	n := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return string(n) + header + strings.Repeat("\x00\x3f", data/2)
}

// TestTable gives a decoder of embeddings the checkpoint's table.
func TestTable(t *testing.T) {
	dir := small(t, change{"vision.onnx": "", "embed.onnx": ""})
	put := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "model-00001-of-00002.safetensors"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(checkpoint(`{"__metadata__": {"format": "pt"}, "model.embed_tokens.weight": {"dtype": "BF16", "shape": [544, 8], "data_offsets": [16, 8720]}}`, 8720))
	m := load(t, dir, models.Options{})
	if !m.Embeds() || m.Info().Stages[0].File != "model-00001-of-00002.safetensors" || m.answers() != nil {
		t.Errorf("loaded as %+v, %v", m.Info(), m.answers())
	}
	for _, c := range []struct {
		name, text string
		err        error
		want       string
	}{
		{"no table", checkpoint(`{"visual.weight": {"dtype": "BF16", "shape": [1, 1], "data_offsets": [0, 2]}}`, 2), ErrMissing, "embeddings"},
		{"another width", checkpoint(`{"embed_tokens.weight": {"dtype": "BF16", "shape": [544, 4], "data_offsets": [0, 4352]}}`, 4352), graph.ErrType, "different models"},
		{"another dtype", checkpoint(`{"embed_tokens.weight": {"dtype": "I8", "shape": [544, 8], "data_offsets": [0, 4352]}}`, 4352), graph.ErrType, "I8"},
		{"beyond the end", checkpoint(`{"embed_tokens.weight": {"dtype": "BF16", "shape": [544, 8], "data_offsets": [16, 8720]}}`, 8704), ErrConfig, "is said to lie"},
		{"of another size", checkpoint(`{"embed_tokens.weight": {"dtype": "BF16", "shape": [544, 8], "data_offsets": [0, 8]}}`, 8704), ErrConfig, "is said to lie"},
		{"before the start", checkpoint(`{"embed_tokens.weight": {"dtype": "BF16", "shape": [544, 8], "data_offsets": [-8704, 0]}}`, 8704), ErrConfig, "is said to lie"},
		{"extents without end", checkpoint(`{"embed_tokens.weight": {"dtype": "BF16", "shape": [9223372036854775807, 8], "data_offsets": [0, 8704]}}`, 8704), ErrConfig, "embed_tokens"},
		{"a header longer than the file", strings.Repeat("\xff", 8) + "{}", ErrConfig, "header"},
		{"a key twice", checkpoint(`{"embed_tokens.weight": {"dtype": "BF16", "shape": [544, 8], "data_offsets": [0, 8704]}, "embed_tokens.weight": {}}`, 8704), ErrConfig, `"embed_tokens.weight" stands twice`},
		{"a broken header", checkpoint(`{"embed`, 0), ErrConfig, "header"},
		{"four bytes", "abcd", ErrConfig, "no safetensors"},
	} {
		put(c.text)
		m, err := Load(dir, models.Options{Table: op.All()})
		if err == nil {
			err = errors.Join(m.answers(), m.Close())
		}
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v with %s", c.name, err, c.err, c.want)
		}
	}
}
