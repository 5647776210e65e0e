package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func BenchmarkEncodeText(b *testing.B) {
	tok := loadQwen(b)
	var text strings.Builder
	lines(b, unzip(b, "qwen2.5-cases.jsonl.gz"), func(c textCase) {
		if len(c.IDs) < 200 {
			text.WriteString(c.Text)
		}
	})
	prose := strings.Repeat("The quick brown fox isn't 12 years old; it jumps over the lazy dogs.\n\nMais où sont les neiges d'antan? 今天天气很好。 ", 2000)
	for _, c := range []struct{ name, text string }{{"prose", prose}, {"cases", text.String()}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tok.Encode(c.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeRepeat(b *testing.B) {
	tok := loadQwen(b)
	text := strings.Repeat("a", 200_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := tok.Encode(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, unzip(b, "qwen2.5.json.gz"), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, path string }{
		{"qwen2.5", path}, {"tinyvl.json", "testdata/tinyvl.json"}, {"tinyvl.mtok", "testdata/tinyvl.mtok"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := LoadFile(c.path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoadTables(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, JSONName)
	if err := os.WriteFile(path, unzip(b, "qwen2.5.json.gz"), 0o644); err != nil {
		b.Fatal(err)
	}
	data, err := Tables(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, TablesName), data, 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(dir, ""); err != nil {
			b.Fatal(err)
		}
	}
}
