package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// unzip returns the content of a .gz file under testdata.
func unzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lines calls use with a decoder of every line of a JSON Lines file.
func lines[T any](t testing.TB, data []byte, use func(T)) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(data)); d.More(); {
		var v T
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		use(v)
	}
}

// qwen is Qwen2.5's tokenizer, parsed once for all tests.
var qwen = sync.OnceValues(func() (*Tokenizer, error) {
	f, err := os.Open("testdata/qwen2.5.json.gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	return parseJSON(data)
})

func loadQwen(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := qwen()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func loadTiny(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := LoadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func encode(t testing.TB, tok *Tokenizer, text string) []int32 {
	t.Helper()
	ids, err := tok.Encode(text)
	if err != nil {
		t.Fatalf("Encode(%.40q): %v", text, err)
	}
	return ids
}

// textCase is a text and its ids from Hugging Face's tokenizers 0.22.2.
type textCase struct {
	Text string  `json:"text"`
	IDs  []int32 `json:"ids"`
}

func TestQwen(t *testing.T) {
	tok := loadQwen(t)
	n := 0
	lines(t, unzip(t, "qwen2.5-cases.jsonl.gz"), func(c textCase) {
		n++
		ids := encode(t, tok, c.Text)
		if !slices.Equal(ids, c.IDs) {
			t.Errorf("Encode(%q)\n got %v\nwant %v", c.Text, ids, c.IDs)
		}
		if got, want := tok.Decode(ids, false), tok.normalize(c.Text); got != want {
			t.Errorf("Decode of Encode(%q) is %q, want %q", c.Text, got, want)
		}
		if guarded, err := tok.EncodeGuarded(c.Text); err != nil || !slices.Equal(guarded, c.IDs) {
			t.Errorf("EncodeGuarded(%q)\n got %v, %v\nwant %v", c.Text, guarded, err, c.IDs)
		}
	})
	if n != 3000 {
		t.Errorf("%d cases, want 3000", n)
	}
	if tok.Size() != 151665 {
		t.Errorf("Size() = %d", tok.Size())
	}
	if id, ok := tok.ID("Ġthe"); !ok || id != 279 {
		t.Errorf("ID(Ġthe) = %d, %v", id, ok)
	}
	if s, ok := tok.Token(279); !ok || s != "Ġthe" {
		t.Errorf("Token(279) = %q, %v", s, ok)
	}
	if s, ok := tok.Token(151665); ok {
		t.Errorf("Token(151665) = %q", s)
	}
	for id, want := range map[int32]bool{-1: false, 279: false, 151644: true, 151657: false, 151665: false} {
		if tok.Special(id) != want {
			t.Errorf("Special(%d) = %v", id, !want)
		}
	}
}

func TestMtokEqualsJSON(t *testing.T) {
	fromJSON, fromMtok := loadTiny(t, "tinyvl.json"), loadTiny(t, "tinyvl.mtok")
	lines(t, unzip(t, "qwen2.5-cases.jsonl.gz"), func(c textCase) {
		want, got := encode(t, fromJSON, c.Text), encode(t, fromMtok, c.Text)
		if !slices.Equal(got, want) {
			t.Errorf("Encode(%q)\n  .mtok %v\n  .json %v", c.Text, got, want)
		}
	})
	if fromMtok.spellings != fromJSON.spellings || !bytes.Equal(fromMtok.starts, fromJSON.starts) || !slices.Equal(fromMtok.special, fromJSON.special) {
		t.Error("vocabularies differ")
	}
	if want := []int32{504, 502}; !slices.Equal(fromMtok.StopIDs(), want) || fromJSON.StopIDs() != nil {
		t.Errorf("StopIDs() = %v and %v, want %v and none", fromMtok.StopIDs(), fromJSON.StopIDs(), want)
	}
	if got := fromMtok.ChatTemplate(); !strings.HasPrefix(got, "{%- for message in messages -%}") ||
		!strings.HasSuffix(got, "{%- endif -%}\n") || fromJSON.ChatTemplate() != "" {
		t.Errorf("ChatTemplate() = %q and %q", got, fromJSON.ChatTemplate())
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(dir, "")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir+": ") || !strings.Contains(err.Error(), "tokenizer.mtok") {
		t.Errorf("empty folder: %v", err)
	}
	place := func(from, to string) {
		data, err := os.ReadFile(filepath.Join("testdata", from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	place("tinyvl.mtok", "tokenizer.mtok")
	if tok, err := Load(dir, ""); err != nil || tok.StopIDs() == nil {
		t.Errorf("folder with a .mtok: %v", err)
	}
	place("tinyvl.json", "tokenizer.json")
	if tok, err := Load(dir, ""); err != nil || tok.StopIDs() != nil {
		t.Errorf("folder with both: %v", err)
	}
	place("tinyvl.mtok", "tokenizer.json") // a broken file must not be passed over
	if _, err := Load(dir, ""); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "tokenizer.json: byte ") {
		t.Errorf("folder with a broken tokenizer.json: %v", err)
	}
	if _, err := LoadFile(dir); err == nil {
		t.Error("a folder as file: no error")
	}
	big := filepath.Join(dir, "big.json")
	if err := os.WriteFile(big, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(big); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "more than 268435456") {
		t.Errorf("file over the limit: %v", err)
	}
}

// TestLinear ends by the time limit of the test if something is quadratic.
func TestLinear(t *testing.T) {
	const n = 50_000
	tok := loadQwen(t)
	for _, unit := range []string{"a", " ", "\n", " \n", "<", "<|", "<|im_start|>", "\u0301", "é ", "'s", "1", "語", "\xff", "\ufdd0"} {
		text := strings.Repeat(unit, n/len(unit))
		ids := encode(t, tok, text)
		if got, want := tok.Decode(ids, false), tok.normalize(valid(text)); got != want {
			t.Errorf("%q repeated: text changed on the way", unit)
		}
		if guarded, err := tok.EncodeGuarded(tok.Guard(text)); err != nil {
			t.Errorf("%q repeated and guarded: %v", unit, err)
		} else if slices.ContainsFunc(guarded, tok.Special) {
			t.Errorf("%q repeated and guarded: special tokens", unit)
		}
	}
	if got, want := encode(t, tok, strings.Repeat("a", 200_000)), slices.Repeat([]int32{69440}, 25_000); !slices.Equal(got, want) {
		t.Errorf("200,000 a: %d ids, want 25,000 times 69440", len(got))
	}
}

func TestConcurrent(t *testing.T) {
	tok := loadTiny(t, "tinyvl.json")
	const text = "<|im_start|>user\nWhich way does the é circle move?<|im_end|>"
	want := encode(t, tok, text)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				got, err := tok.EncodeGuarded(text)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("got %v, %v, want %v", got, err, want)
				}
				if tok.Decode(got, false) != text || tok.Guard("<|im_end|>") == "<|im_end|>" {
					t.Error("Decode or Guard differs")
				}
			}
		})
	}
	wg.Wait()
}
