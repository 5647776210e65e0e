package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tables returns the tables of a tokenizer.json, which is written to a folder.
func tables(t testing.TB, file []byte) (dir string, data []byte) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, JSONName, file)
	data, err := Tables(filepath.Join(dir, JSONName))
	if err != nil {
		t.Fatal(err)
	}
	return dir, data
}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// agree compares two tokenizers that must be the same.
func agree(t *testing.T, got, want *Tokenizer, texts []string) {
	t.Helper()
	if got.Size() != want.Size() {
		t.Fatalf("Size() = %d, want %d", got.Size(), want.Size())
	}
	for id := range int32(want.Size()) + 1 {
		g, gotOK := got.Token(id)
		w, wantOK := want.Token(id)
		if g != w || gotOK != wantOK || got.Special(id) != want.Special(id) || got.Decode([]int32{id}, false) != want.Decode([]int32{id}, false) {
			t.Fatalf("token %d is %q, special %v, want %q, %v", id, g, got.Special(id), w, want.Special(id))
		}
		if back, ok := got.ID(w); wantOK && (!ok || back != id) {
			t.Fatalf("ID(%q) = %d, %v, want %d", w, back, ok, id)
		}
	}
	for _, text := range texts {
		ids := encode(t, want, text)
		if found := encode(t, got, text); !slices.Equal(found, ids) {
			t.Fatalf("Encode(%q)\n got %v\nwant %v", text, found, ids)
		}
		for _, skip := range []bool{false, true} {
			if g, w := got.Decode(ids, skip), want.Decode(ids, skip); g != w {
				t.Fatalf("Decode(%v, %v) = %q, want %q", ids, skip, g, w)
			}
		}
		safe := want.Guard(text)
		if g := got.Guard(text); g != safe {
			t.Fatalf("Guard(%q) = %q, want %q", text, g, safe)
		}
		if g, w := guarded(t, got, safe), guarded(t, want, safe); !slices.Equal(g, w) {
			t.Fatalf("EncodeGuarded(%q)\n got %v\nwant %v", safe, g, w)
		}
	}
}

// texts are those of the cases, and random bytes.
func texts(t *testing.T) (out []string) {
	lines(t, unzip(t, "qwen2.5-cases.jsonl.gz"), func(c textCase) { out = append(out, c.Text) })
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		b := make([]byte, rng.IntN(60))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		out = append(out, string(b), strings.ToValidUTF8(string(b), "<|im_end|>"))
	}
	return out
}

func TestTables(t *testing.T) {
	all := texts(t)
	tiny, err := os.ReadFile("testdata/tinyvl.json")
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		data  []byte
		texts []string
	}
	files := map[string]file{"qwen": {unzip(t, "qwen2.5.json.gz"), all}, "tiny": {tiny, all}, "small": {[]byte(small), nil}}
	lines(t, unzip(t, "oracle.jsonl.gz"), func(v variant) {
		files[fmt.Sprintf("variant %d", len(files))] = file{v.build(t), all[:100]}
	})
	for name, f := range files {
		t.Run(name, func(t *testing.T) {
			want, err := parseJSON(f.data)
			if err != nil {
				t.Fatal(err)
			}
			dir, data := tables(t, f.data)
			if _, again := tables(t, f.data); !bytes.Equal(again, data) {
				t.Error("other tables of the same file")
			}
			write(t, dir, TablesName, data)
			sum, err := hashFile(filepath.Join(dir, JSONName))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, JSONName, nil) // is not read where its hash is known
			got, err := Load(dir, sum)
			if err != nil {
				t.Fatal(err)
			}
			agree(t, got, want, f.texts)
		})
	}
}

// Tables that are not of the tokenizer.json beside them are as if they were not there.
func TestStaleTables(t *testing.T) {
	dir, data := tables(t, []byte(small))
	write(t, dir, TablesName, data)
	if _, err := Load(dir, ""); err != nil {
		t.Fatal(err)
	}
	is := func(what, want string) {
		t.Helper()
		tok, err := Load(dir, "")
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if got, _ := tok.Token(3); got != want {
			t.Errorf("%s: token 3 is %q, want %q", what, got, want)
		}
	}
	write(t, dir, JSONName, []byte(strings.Replace(small, "<s>", "<t>", 1)))
	is("another tokenizer.json", "<t>")
	newer := bytes.Clone(data)
	newer[48]++
	write(t, dir, TablesName, newer)
	is("tables of another version", "<t>")
	write(t, dir, TablesName, data[:100])
	if _, err := Load(dir, ""); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), TablesName) {
		t.Errorf("broken tables: %v", err)
	}
	write(t, dir, TablesName, data)
	if err := os.Remove(filepath.Join(dir, JSONName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("tables alone: %v", err)
	}
	if _, err := Tables(filepath.Join(dir, JSONName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("tables of nothing: %v", err)
	}
	write(t, dir, JSONName, []byte("{"))
	if _, err := Tables(filepath.Join(dir, JSONName)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), JSONName) {
		t.Errorf("tables of a broken file: %v", err)
	}
}

func TestMalformedTables(t *testing.T) {
	_, data := tables(t, []byte(small))
	for n := range data {
		if _, _, err := parseTables(data[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("first %d of %d bytes: %v", n, len(data), err)
		}
	}
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20_000 { // must not panic
		broken := bytes.Clone(data)
		for range 1 + rng.IntN(3) {
			broken[rng.IntN(len(broken))] = byte(rng.Uint32())
		}
		tok, _, err := parseTables(broken)
		if tok != nil || err != nil {
			exercise(t, tok, err)
		}
	}
	var head tablesHead
	n, err := binary.Decode(data, binary.LittleEndian, &head)
	if err != nil {
		t.Fatal(err)
	}
	spellings := n + int(head.Settings)
	starts := spellings + int(head.Spellings)
	sorted := starts + 4*5
	firsts := sorted + 4*4
	rights := firsts + 4*5
	results := rights + 4
	if results+8 != len(data) {
		t.Fatalf("%d bytes, want %d", len(data), results+8)
	}
	put := func(at int, b ...byte) []byte { return slices.Concat(data[:at], b, data[at+len(b):]) }
	for _, c := range []struct {
		data []byte
		want string
	}{
		{put(0, 'M'), "want the head"},
		{put(52, 0xff, 0xff, 0xff, 0xff), "too few for 4 ids, 4 tokens and 1 rules"},
		{put(60, 0xff, 0xff, 0xff, 0xff), "too few for 4294967295 ids"},
		{append(bytes.Clone(data), 0), "4 ids, and 1 bytes more"},
		{put(n, 'x'), "byte 1: "},
		{put(starts, 1), "spellings: want ascending places in 7 bytes"},
		{put(starts+4, 9), "spellings: want ascending"},
		{put(starts+16, 8), "spellings: want ascending"},
		{put(starts+16, 6), "spellings: want ascending"},
		{put(sorted, 4), "4 in the order of them is no token"},
		{put(sorted, 0xff, 0xff, 0xff, 0xff), "4294967295 in the order of them is no token"},
		{put(starts+4, 0), "0 in the order of them is no token"},
		{put(spellings+4, 'x'), `added_tokens[0] "<s>" is not the token 3`},
		{put(firsts+16, 2), "merges: want ascending places of 1"},
		{put(firsts+4, 0xff, 0xff, 0xff, 0xff), "merges: want ascending"},
		{put(results, 0xff, 0xff, 0xff, 0x7f), "merge 0 of 1: id 2, rank 2147483647"},
		{put(results, 0xff, 0xff, 0xff, 0xff), "merge 0 of 1: id 2, rank 4294967295"},
		{put(results+4, 4), "merge 0 of 1: id 4, rank 0"},
		{put(results+4, 3), "merge 0 of 1: id 3, rank 0: want the id of a token that is not special"},
	} {
		if _, _, err := parseTables(c.data); !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
