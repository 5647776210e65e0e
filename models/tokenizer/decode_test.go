package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	tok := loadQwen(t)
	for _, c := range []struct {
		ids  []int32
		skip bool
		want string
	}{
		{nil, false, ""},
		{[]int32{-1, 151665, 1 << 30, 0}, false, "!"},
		{[]int32{151644, 0, 151645}, false, "<|im_start|>!<|im_end|>"},
		{[]int32{151644, 0, 151645}, true, "!"},
		{[]int32{151657, 0}, true, "<tool_call>!"}, // added, but not special
		{[]int32{378, 235}, false, "\u200d"},
		{[]int32{378, 151645, 235}, false, "\ufffd<|im_end|>\ufffd"},
		{[]int32{378, 151645, 235}, true, "\u200d"},
		{[]int32{378}, false, "\ufffd"},
	} {
		if got := tok.Decode(c.ids, c.skip); got != c.want {
			t.Errorf("Decode(%v, %v) = %q, want %q", c.ids, c.skip, got, c.want)
		}
	}
}

// An added token is text; that "é" is also the byte E9 in the byte alphabet must not matter.
func TestDecodeAdded(t *testing.T) {
	tok := withAdded(t, addedToken{content: "né"}, addedToken{content: "a b"})
	if got := tok.Decode(encode(t, tok, "né, a b"), false); got != "né, a b" {
		t.Errorf("got %q", got)
	}
}

func TestStream(t *testing.T) {
	tok := loadQwen(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		ids := make([]int32, rng.IntN(12))
		for i := range ids {
			switch rng.IntN(4) {
			case 0: // any token
				ids[i] = rng.Int32N(151700)
			case 1: // a single byte of non-ASCII text
				ids[i] = 94 + rng.Int32N(94)
			default: // whole characters, byte by byte
				for _, b := range []byte([]string{"é", "語", "😀"}[rng.IntN(3)]) {
					id, _ := tok.ID(string(byteChars[b]))
					ids = append(ids, id)
				}
			}
		}
		skip := rng.IntN(2) == 0
		stream := tok.Stream(skip)
		var b strings.Builder
		for _, id := range ids {
			part := stream.Push(id)
			if !utf8.ValidString(part) {
				t.Fatalf("%v: Push(%d) = %q", ids, id, part)
			}
			b.WriteString(part)
		}
		b.WriteString(stream.Flush())
		if got, want := b.String(), tok.Decode(ids, skip); got != want {
			t.Fatalf("stream of %v gives %q, Decode %q", ids, got, want)
		}
		if rest := stream.Flush(); rest != "" {
			t.Fatalf("second Flush gives %q", rest)
		}
	}
	stream := tok.Stream(false)
	var parts []string
	for _, b := range []byte("a😀") {
		id, _ := tok.ID(string(byteChars[b]))
		parts = append(parts, stream.Push(id))
	}
	if want := []string{"a", "", "", "", "😀"}; !slices.Equal(parts, want) {
		t.Errorf("Push gives %q, want %q", parts, want)
	}
}

func TestValid(t *testing.T) {
	for text, want := range map[string]string{ // want as Python's bytes.decode(errors="replace")
		"":                      "",
		"aé語😀\ufffd":            "aé語😀\ufffd",
		"\xff":                  "\ufffd",
		"\x80\x80":              "\ufffd\ufffd",
		"\xe2\x82":              "\ufffd",
		"\xe2\x82a":             "\ufffda",
		"\xe2\xe2\x82\xac":      "\ufffd€",
		"\xf0\x9f\x98":          "\ufffd",
		"\xf0\x9f\x98\xf0\x9f":  "\ufffd\ufffd",
		"\xc0\xaf":              "\ufffd\ufffd",
		"\xed\xa0\x80":          "\ufffd\ufffd\ufffd",
		"\xf4\x90\x80\x80":      "\ufffd\ufffd\ufffd\ufffd",
		"\xe0\x80\xaf\xf0\x80a": "\ufffd\ufffd\ufffd\ufffd\ufffda",
	} {
		if got := valid(text); got != want {
			t.Errorf("valid(%q) = %+q, want %+q", text, got, want)
		}
	}
	tok := loadQwen(t)
	if got, want := encode(t, tok, "a\xe2\x82\xff"), encode(t, tok, "a\ufffd\ufffd"); !slices.Equal(got, want) {
		t.Errorf("Encode of invalid UTF-8 gives %v, want %v", got, want)
	}
}
