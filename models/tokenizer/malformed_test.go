package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// small is a sound tokenizer.json in one piece; the tests below break it.
const small = `{"added_tokens": [{"id": 3, "content": "<s>", "special": true}],
	"normalizer": {"type": "NFC"},
	"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
	"decoder": {"type": "ByteLevel"},
	"model": {"type": "BPE", "unk_token": null, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}`

func TestMalformedJSON(t *testing.T) {
	if _, err := parseJSON([]byte(small)); err != nil {
		t.Fatal(err)
	}
	deep := func(kind, list, inner string) string {
		n := maxDepth + 2
		return strings.Repeat(`{"type": "`+kind+`", "`+list+`": [`, n) + inner + strings.Repeat("]}", n)
	}
	nfc, bytelevel := `{"type": "NFC"}`, `{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}`
	for _, c := range []struct {
		from, to string // replaced once in small
		is       error
		want     string
	}{
		{small, "", ErrMalformed, "byte 0: unexpected end"},
		{small, small[:40], ErrMalformed, "byte 40: unexpected end"},
		{small, "430 4\n", ErrMalformed, "byte 5: "},
		{small, small + "\xff", ErrMalformed, fmt.Sprintf("byte %d: not UTF-8", len(small))},
		{small, "null", ErrMalformed, "pre_tokenizer: none"},
		{`"id": 3`, `"id": "3"`, ErrMalformed, "added_tokens.id is a JSON string"},
		{`"id": 3`, `"id": -3`, ErrMalformed, `token "<s>" has the id -3`},
		{`"id": 3`, `"id": 2`, ErrMalformed, `id 2 belongs to both "ab" and "<s>"`},
		{`"id": 3`, `"id": 16777216`, ErrMalformed, "largest id is 16777216"},
		{`"id": 3`, `"id": 1000000`, ErrMalformed, "largest id is 1000000 with 4 tokens"},
		{`"id": 3`, `"id": 9223372036854775807`, ErrMalformed, "id"},
		{`"<s>"`, `"a"`, ErrMalformed, `token "a" has the ids 0 and 3`},
		{`"<s>"`, `""`, ErrMalformed, "token with id 3 is empty"},
		{`"<s>"`, `"` + strings.Repeat("s", maxSpelling+1) + `"`, ErrMalformed, "added_tokens[0] has 1025 bytes"},
		{`"NFC"`, `"Lowercase"`, ErrUnsupported, `normalizer: kind "Lowercase"`},
		{nfc, deep("Sequence", "normalizers", nfc), ErrMalformed, "normalizer: more than"},
		{bytelevel, deep("Sequence", "pretokenizers", bytelevel), ErrMalformed, "pre_tokenizer: more than"},
		{bytelevel, `{"type": "Sequence", "pretokenizers": [` + strings.Repeat(`{"type": "Digits"},`, 100) + bytelevel + "]}", ErrMalformed, "more than 64 steps"},
		{bytelevel, `{"type": "Metaspace"}`, ErrUnsupported, `pre_tokenizer: kind "Metaspace"`},
		{bytelevel, `{"type": "Digits"}`, ErrUnsupported, "step 1 of 1: want ByteLevel"},
		{bytelevel, `{"type": "Sequence", "pretokenizers": [` + bytelevel + `, {"type": "Digits"}]}`, ErrUnsupported, "step 1 of 2: want ByteLevel at the end"},
		{bytelevel, "null", ErrUnsupported, "pre_tokenizer: none, want ByteLevel"},
		{bytelevel, `{"type": "Split", "behavior": "Isolated"}`, ErrMalformed, "neither pattern.Regex nor"},
		{bytelevel, `{"type": "Split", "pattern": {"Regex": "a(b"}, "behavior": "Isolated"}`, ErrMalformed, `split pattern "a(b"`},
		{bytelevel, `{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "MergedWithNext"}`, ErrUnsupported, `behavior "MergedWithNext"`},
		{bytelevel, `{"type": "Split", "pattern": {"Regex": "` + strings.Repeat("(", maxPattern+1) + `"}}`, ErrMalformed, "65537 bytes"},
		{`"decoder": {"type": "ByteLevel"}`, `"decoder": {"type": "WordPiece"}`, ErrUnsupported, `decoder "WordPiece"`},
		{`"BPE"`, `"Unigram"`, ErrUnsupported, `model.type "Unigram"`},
		{`"BPE"`, `"WordPiece"`, ErrUnsupported, `model.type "WordPiece"`},
		{`"BPE"`, `"BPE", "dropout": 0.1`, ErrUnsupported, "dropout"},
		{`"BPE"`, `"BPE", "end_of_word_suffix": "</w>"`, ErrUnsupported, "end_of_word_suffix"},
		{`"unk_token": null`, `"unk_token": "?"`, ErrMalformed, `model.unk_token "?" is no token`},
		{`"vocab": {"a": 0, "b": 1, "ab": 2}`, `"vocab": [["a", 0]]`, ErrMalformed, "model.vocab: want an object"},
		{`"vocab"`, `"words"`, ErrMalformed, "model.vocab: want an object"},
		{`"b": 1`, `"b": -1`, ErrMalformed, `model.vocab: token "b": want an id`},
		{`"b": 1`, `"b": 1.5`, ErrMalformed, `model.vocab: token "b": want an id`},
		{`"b": 1`, `"b": 1e1`, ErrMalformed, `model.vocab: token "b": want an id`},
		{`"b": 1`, `"b": []`, ErrMalformed, `model.vocab: token "b": want an id`},
		{`"b": 1`, `"b": 99999999999999999999`, ErrMalformed, `model.vocab: token "b": want an id`},
		{`"b": 1`, `"b": 0`, ErrMalformed, `id 0 belongs to both "a" and "b"`},
		{`"b": 1`, `"b": 1, "b": 4`, ErrMalformed, `token "b" has the ids 1 and 4`},
		{`["a b"]`, `{}`, ErrMalformed, "model.merges: want an array"},
		{`["a b"]`, `["ab"]`, ErrMalformed, `model.merges[0]: want "left right"`},
		{`["a b"]`, `["a b", ["a"]]`, ErrMalformed, `model.merges[1]: want "left right"`},
		{`["a b"]`, `[["a", "b", "c"]]`, ErrMalformed, `model.merges[0]: want "left right"`},
		{`["a b"]`, `[7]`, ErrMalformed, `model.merges[0]: want "left right"`},
		{`["a b"]`, `["a b", "c a"]`, ErrMalformed, `model.merges[1]: "c" is no token`},
		{`["a b"]`, `["a c"]`, ErrMalformed, `model.merges[0]: "c" is no token`},
		{`["a b"]`, `["b a"]`, ErrMalformed, `model.merges[0]: merging "b" and "a" gives "ba", which is no token`},
	} {
		broken := strings.Replace(small, c.from, c.to, 1)
		if broken == small {
			t.Fatalf("%.60q is not there to replace", c.from)
		}
		_, err := parseJSON([]byte(broken))
		if c.want == "pre_tokenizer: none" {
			c.is = ErrUnsupported
		}
		if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%.60q for %.40q: error %v\nwant %q", c.to, c.from, err, c.want)
		}
	}
}

func TestMergesAndEscapes(t *testing.T) {
	// Both forms of merges, and tokens that JSON spells with escapes.
	for _, merges := range []string{`["\u0061 b", "\" \\"]`, `[["a","b"], [ "\"" , "\\" ]]`} {
		file := strings.NewReplacer(`["a b"]`, merges, `"ab": 2`, `"ab": 2, "\"": 4, "\\": 5, "\"\\": 6`).Replace(small)
		tok, err := parseJSON([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := encode(t, tok, `ab"\<s>`), []int32{2, 6, 3}; !slices.Equal(got, want) {
			t.Errorf("merges %s: got %v, want %v", merges, got, want)
		}
	}
}

func readMtok(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/tinyvl.mtok")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMalformedMtok(t *testing.T) {
	data := readMtok(t)
	// Every beginning of the file must be refused, but for the one without the
	// template, as older exporters wrote it, and those that lack what follows it.
	template := bytes.Index(data, []byte("{%- for message")) - 4
	rest := template + 4 + int(binary.LittleEndian.Uint32(data[template:]))
	for n := 0; n <= len(data); n++ {
		if n > 100 && n%37 != 0 && n != template && n != rest {
			continue // the long tables and the template, in part
		}
		_, err := parseMtok(data[:n])
		if fine := n == template || n >= rest; fine != (err == nil) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("first %d of %d bytes: %v", n, len(data), err)
		}
	}
	model := bytes.Index(data, []byte("\x00\xf6\x01\x00\x00\x00\x00")) // BPE, 502 tokens
	table := bytes.Index(data, []byte("\x06\x60\x04\x00\x00"))         // 1,120 entries
	if model < 0 || table < 0 {
		t.Fatal("sections not found")
	}
	put := func(at int, with string) []byte {
		return slices.Concat(data[:at], []byte(with), data[at+len(with):])
	}
	first := model + 11 // of the vocabulary: "!" as u16 length, byte, u32 id
	for _, c := range []struct {
		data []byte
		is   error
		want string
	}{
		{put(0, "431"), ErrMalformed, `byte 6: want the line "430 4"`},
		{put(4, "3"), ErrUnsupported, "kind 3 of MNN tokenizer"},
		{put(6, "15"), ErrMalformed, "want three counts and as many ids"},
		{put(6, "-1"), ErrMalformed, `want a line of numbers, found "-1"`},
		{put(13, "99999999999"), ErrMalformed, "want a line of numbers"},
		{put(table+1, "\xff\xff\xff\xff"), ErrMalformed, "4294967295 table entries in"},
		{put(table+5, "\xff\xff\xff\xff"), ErrMalformed, "normalizer table: U+FFFFFFFF"},
		{put(table, "\x03"), ErrUnsupported, "normalizer Replace"},
		{put(table, "\x09"), ErrUnsupported, "normalizer 9"},
		{put(model, "\x02"), ErrUnsupported, "model Unigram"},
		{put(model+1, "\xff\xff\xff\xff"), ErrMalformed, "4294967295 tokens in"},
		{put(model+7, "\xff\xff\xff\x7f"), ErrMalformed, "2147483647 merges in"},
		{put(first+3, "\xff\xff\xff\xff"), ErrMalformed, "token: id 4294967295"},
		{put(first+3, "\x01\x00\x00\x00"), ErrMalformed, "id 1 belongs to both"},
		{put(template-1, "\xff"), ErrMalformed, "is not UTF-8"},
		{slices.Concat(data[:table], bytes.Repeat([]byte("\x04\x01\x00\x00\x00"), 1<<16)), ErrMalformed, "normalizer with more than"},
		{slices.Concat(data[:table], []byte{0}, bytes.Repeat([]byte("\x06\x01\x00\x00\x00"), 1<<16)), ErrMalformed, "pre-tokenizer with more than"},
		{slices.Concat(data[:table], []byte("\x00\x00\x00"), data[model+1:]), ErrUnsupported, "none, want ByteLevel"},
		{slices.Concat(data[:table], []byte("\x00\x03")), ErrUnsupported, "pre-tokenizer Metaspace"},
		{slices.Concat(data[:table], []byte("\x00\x04\x01\x00(\x00\x00")), ErrMalformed, `split pattern "("`},
		{slices.Concat(data[:table], []byte("\x00\x04\x01\x00a\x00\x02")), ErrUnsupported, "MergedWithPrevious"},
		{slices.Concat(data[:table], []byte("\x00\x04\x01\x00a\x00\x09")), ErrMalformed, "Split with behavior 9"},
	} {
		if _, err := parseMtok(c.data); !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// A table that is not NFC's or NFKC's is applied as it stands.
func TestTable(t *testing.T) {
	normalize := substitution(map[rune]string{'A': "a", 'é': "", '\u212b': "x"})
	if got := normalize("AbéA\u212be\u0301"); got != "abaxe\u0301" {
		t.Errorf("got %q", got)
	}
}

func TestPatternThatBacktracks(t *testing.T) {
	pattern, _ := json.Marshal(`(x+x+)+y`)
	tok, err := parseJSON([]byte(strings.Replace(small, `{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}`,
		`{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": `+string(pattern)+`}, "behavior": "Isolated"}, {"type": "ByteLevel"}]}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if tok.stages[0].pattern.MatchTimeout != matchTimeout {
		t.Errorf("time limit of an unknown pattern is %v", tok.stages[0].pattern.MatchTimeout)
	}
	tok.stages[0].pattern.MatchTimeout = time.Millisecond
	if _, err := tok.Encode(strings.Repeat("x", 1000)); err == nil || !strings.Contains(err.Error(), "(x+x+)+y") {
		t.Errorf("error %v, want one that names the pattern", err)
	}
}
