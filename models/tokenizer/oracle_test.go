package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// variant is one line of oracle.jsonl.gz; testdata/oracle.py wrote it.
type variant struct {
	Patch  map[string]any       `json:"patch"`
	Model  map[string]any       `json:"model"`
	Drop   []string             `json:"drop"`
	Encode [][2]json.RawMessage `json:"encode"`
	Decode [][3]json.RawMessage `json:"decode"`
}

// build returns tinyvl.json with the changes of the variant.
func (v variant) build(t *testing.T) []byte {
	base := map[string]any{}
	data, err := os.ReadFile("testdata/tinyvl.json")
	if err == nil {
		err = json.Unmarshal(data, &base)
	}
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(base, v.Patch)
	model := base["model"].(map[string]any)
	maps.Copy(model, v.Model)
	dropped := func(token string) bool {
		return slices.ContainsFunc(v.Drop, func(d string) bool { return strings.Contains(token, d) })
	}
	vocab := model["vocab"].(map[string]any)
	maps.DeleteFunc(vocab, func(token string, _ any) bool { return dropped(token) })
	model["merges"] = slices.DeleteFunc(model["merges"].([]any), func(m any) bool {
		pair := m.([]any)
		return dropped(pair[0].(string)) || dropped(pair[1].(string))
	})
	if v.Drop != nil {
		for _, a := range base["added_tokens"].([]any) {
			vocab[a.(map[string]any)["content"].(string)] = a.(map[string]any)["id"]
		}
	}
	if v.Model["byte_fallback"] == true {
		for b := range 256 {
			vocab[fmt.Sprintf("<0x%02X>", b)] = 600 + b
		}
	}
	if data, err = json.Marshal(base); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOracle(t *testing.T) {
	get := func(raw json.RawMessage, to any) {
		if err := json.Unmarshal(raw, to); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	lines(t, unzip(t, "oracle.jsonl.gz"), func(v variant) {
		n++
		about, _ := json.Marshal([]any{v.Patch, v.Model, v.Drop})
		tok, err := parseJSON(v.build(t))
		if err != nil {
			t.Errorf("%s: %v", about, err)
			return
		}
		for _, c := range v.Encode {
			var text string
			var want []int32
			get(c[0], &text)
			get(c[1], &want)
			if got := encode(t, tok, text); !slices.Equal(got, want) {
				t.Errorf("%s\nEncode(%+q)\n got %v\nwant %v", about, text, got, want)
			}
		}
		for _, c := range v.Decode {
			var ids []int32
			var skip bool
			var want string
			get(c[0], &ids)
			get(c[1], &skip)
			get(c[2], &want)
			if got := tok.Decode(ids, skip); got != want {
				t.Errorf("%s\nDecode(%v, %v) = %q, want %q", about, ids, skip, got, want)
			}
		}
	})
	if n != 21 {
		t.Errorf("%d variants, want 21", n)
	}
}
