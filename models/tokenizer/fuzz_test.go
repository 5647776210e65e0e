package tokenizer

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// exercise checks what holds for every tokenizer that loads.
func exercise(t *testing.T, tok *Tokenizer, err error) {
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
			t.Fatalf("error of no kind: %v", err)
		}
		return
	}
	ids, err := tok.EncodeGuarded("<s>" + tok.Guard("<s> ab é\n 12"))
	if err != nil {
		return
	}
	for _, id := range ids {
		if _, ok := tok.Token(id); !ok {
			t.Fatalf("id %d has no token", id)
		}
	}
	tok.Decode(ids, false)
}

func FuzzTokenizerJSON(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(strings.Replace(small, `["a b"]`, `[["a", "b"]]`, 1)))
	f.Add([]byte(strings.Replace(small, `"BPE"`, `"BPE", "ignore_merges": true, "byte_fallback": true, "fuse_unk": true`, 1)))
	f.Add([]byte(strings.Replace(small, `"special": true`, `"lstrip": true, "rstrip": true, "single_word": true, "normalized": true`, 1)))
	f.Add([]byte(strings.Replace(small, `{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}`,
		`{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Removed"}, {"type": "Digits"}, {"type": "ByteLevel"}]}`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseJSON(data)
		exercise(t, tok, err)
	})
}

func FuzzMtok(f *testing.F) {
	// Small files, so that the fuzzer gets to try many.
	const header, stages = "430 4\n1 1 0\n2 2\n", "\x06\x02\x00\x00\x00\x04\x04\x00\\d\\s\x00\x01\x01\x01"
	const model = "\x00\x02\x00\x00\x00\x00\x00\x01\x00\x00\x00" +
		"\x01\x00a\x00\x00\x00\x00\x02\x00aa\x01\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	const rest = "\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x03\x00<s>\x01\x00\x00\x00t"
	for _, normalizer := range []string{"\x00", "\x04\x01\x00\x00\x00\x06\x01\x00\x00\x00A\x00\x00\x00\x01\x00a"} {
		data := []byte(header + normalizer + stages + model + rest)
		if _, err := parseMtok(data); err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseMtok(data)
		exercise(t, tok, err)
	})
}

func FuzzTables(f *testing.F) {
	for _, file := range []string{small, strings.Replace(small, `"BPE"`, `"BPE", "ignore_merges": true, "byte_fallback": true, "fuse_unk": true`, 1)} {
		_, data := tables(f, []byte(file))
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, _, err := parseTables(data)
		if tok != nil || err != nil { // it is of this version
			exercise(t, tok, err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	tok, err := LoadFile("testdata/tinyvl.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("<|im_start|>user\n", "What is <|im_end|>?")
	f.Add("<|im_", "start|> e\u0301 \xff\xe2\x82")
	f.Add("", strings.Repeat("\u0323\u0301", 40)+marker)
	f.Fuzz(func(t *testing.T, template, user string) {
		ids, err := tok.Encode(template + user)
		if err != nil {
			t.Fatal(err)
		}
		// Normalisation works between added tokens.
		text := tok.Decode(ids, false)
		if want := tok.normalize(valid(template + user)); tok.normalize(text) != want {
			t.Fatalf("%q decodes as %q", template+user, text)
		}
		stream := tok.Stream(false)
		var b strings.Builder
		for _, id := range ids {
			b.WriteString(stream.Push(id))
		}
		if b.WriteString(stream.Flush()); b.String() != text {
			t.Fatalf("stream gives %q, Decode %q", b.String(), text)
		}
		safe, err := tok.EncodeGuarded(tok.Guard(user))
		if err != nil || slices.ContainsFunc(safe, tok.Special) {
			t.Fatalf("guarded %q gives %v, %v", user, safe, err)
		}
	})
}
