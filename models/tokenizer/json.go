package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
	"golang.org/x/text/unicode/norm"

	"mnnconv/schemas/jsonkeys"
)

// parseJSON reads a tokenizer.json of Hugging Face's tokenizers library.
func parseJSON(data []byte) (*Tokenizer, error) {
	t, _, err := readJSON(data)
	return t, err
}

// readJSON returns a tokenizer and the file that it was made from.
func readJSON(data []byte) (*Tokenizer, *jsonFile, error) {
	if !utf8.Valid(data) {
		for i, r := range string(data) {
			if _, n := utf8.DecodeRune(data[i:]); r == utf8.RuneError && n == 1 {
				return nil, nil, malformed("byte %d: not UTF-8", i)
			}
		}
	}
	f, err := parseSettings(data)
	if err != nil {
		return nil, nil, err
	}
	repeated := make(chan *jsonkeys.RepeatError, 1)
	go func() { repeated <- jsonkeys.Repeated(data, false) }() // takes as long as the vocabulary
	t, added, err := f.begin()
	if err != nil {
		return nil, nil, err
	}
	entries, err := jsonVocab(f.Model.Vocab)
	if err != nil {
		return nil, nil, fmt.Errorf("model.vocab: %w", err)
	}
	var ids index
	if t.vocabulary, ids, err = newVocabulary(entries, added); err != nil {
		return nil, nil, err
	}
	if r := <-repeated; r != nil { // a token of two ids has been named already
		return nil, nil, malformed("%w", r)
	}
	if err := f.finish(t, added); err != nil {
		return nil, nil, err
	}
	maker := ruleMaker{&t.vocabulary, ids}
	spelled, err := jsonMerges(f.Model.Merges)
	if err != nil {
		return nil, nil, fmt.Errorf("model.merges%w", err)
	}
	rules, err := maker.all(spelled)
	if err != nil {
		return nil, nil, fmt.Errorf("model.merges%w", err)
	}
	t.bpe.merges = maker.learned(rules)
	return t, f, nil
}

// parseSettings reads a tokenizer.json, its vocabulary and merges apart, and refuses models
// that are no byte-level BPE.
func parseSettings(data []byte) (*jsonFile, error) {
	var f jsonFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, jsonError(err)
	}
	if k := f.Model.Type; k != "BPE" && k != "" {
		return nil, unsupported("model.type %.60q, want BPE", k)
	}
	if f.Model.ContinuingSubwordPrefix != "" || f.Model.EndOfWordSuffix != "" || f.Model.Dropout != 0 {
		return nil, unsupported("model with a continuing_subword_prefix, end_of_word_suffix or dropout")
	}
	if k := f.Decoder; k != nil && k.Type != "ByteLevel" {
		return nil, unsupported("decoder %.60q, want ByteLevel", k.Type)
	}
	return &f, nil
}

// begin makes a tokenizer of what needs no vocabulary, and returns its added tokens.
func (f *jsonFile) begin() (*Tokenizer, []addedToken, error) {
	t := &Tokenizer{normalize: identity}
	if f.Normalizer != nil {
		steps, err := f.Normalizer.steps(nil, 0)
		if err != nil {
			return nil, nil, fmt.Errorf("normalizer: %w", err)
		}
		t.normalize = chain(steps)
	}
	if f.PreTokenizer != nil {
		var err error
		if t.stages, err = f.PreTokenizer.stages(nil, 0); err != nil {
			return nil, nil, fmt.Errorf("pre_tokenizer: %w", err)
		}
	}
	if err := checkByteLevel(t.stages); err != nil {
		return nil, nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	added := make([]addedToken, len(f.AddedTokens))
	for i, a := range f.AddedTokens {
		added[i] = addedToken{a.ID, a.Content, a.Special, a.LStrip, a.RStrip, a.SingleWord, a.Normalized}
	}
	return t, added, checkAdded(added)
}

// finish adds what needs the vocabulary, but for the merges.
func (f *jsonFile) finish(t *Tokenizer, added []addedToken) error {
	t.setAdded(added)
	t.bpe = newBPE(&t.vocabulary, f.Model.ByteFallback)
	t.bpe.ignoreMerges = f.Model.IgnoreMerges
	if k := f.Model.UnkToken; k != "" {
		id, ok := t.ID(k)
		if !ok {
			return malformed("model.unk_token %.60q is no token", k)
		}
		t.bpe.setUnknown(id, f.Model.FuseUnk)
	}
	return nil
}

// jsonFile is the part of a tokenizer.json that decides ids. The post-processor
// only adds tokens around them; truncation and padding belong to batches.
type jsonFile struct {
	AddedTokens []struct {
		ID         int64  `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer   *jsonNormalizer   `json:"normalizer"`
	PreTokenizer *jsonPreTokenizer `json:"pre_tokenizer"`
	Decoder      *struct {
		Type string `json:"type"`
	} `json:"decoder"`
	Model struct {
		Type                    string          `json:"type"`
		Dropout                 float64         `json:"dropout"`
		UnkToken                string          `json:"unk_token"`
		ContinuingSubwordPrefix string          `json:"continuing_subword_prefix"`
		EndOfWordSuffix         string          `json:"end_of_word_suffix"`
		FuseUnk                 bool            `json:"fuse_unk"`
		ByteFallback            bool            `json:"byte_fallback"`
		IgnoreMerges            bool            `json:"ignore_merges"`
		Vocab                   json.RawMessage `json:"vocab,omitempty"`
		Merges                  json.RawMessage `json:"merges,omitempty"`
	} `json:"model"`
}

func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return malformed("byte %d: %v", syntax.Offset, err)
	case errors.As(err, &kind):
		return malformed("byte %d: %s is a JSON %s", kind.Offset, kind.Field, kind.Value)
	}
	return malformed("%v", err)
}

type jsonNormalizer struct {
	Type        string           `json:"type"`
	Normalizers []jsonNormalizer `json:"normalizers"`
}

func (n *jsonNormalizer) steps(steps []func(string) string, depth int) ([]func(string) string, error) {
	if depth > maxDepth || len(steps) > maxStages {
		return nil, malformed("more than %d steps or %d levels", maxStages, maxDepth)
	}
	switch n.Type {
	case "NFC":
		return append(steps, unicodeForm(norm.NFC)), nil
	case "NFD":
		return append(steps, unicodeForm(norm.NFD)), nil
	case "NFKC":
		return append(steps, unicodeForm(norm.NFKC)), nil
	case "NFKD":
		return append(steps, unicodeForm(norm.NFKD)), nil
	case "Sequence":
		var err error
		for i := range n.Normalizers {
			if steps, err = n.Normalizers[i].steps(steps, depth+1); err != nil {
				return nil, err
			}
		}
		return steps, nil
	}
	return nil, unsupported("kind %.60q", n.Type)
}

type jsonPreTokenizer struct {
	Type          string             `json:"type"`
	Pretokenizers []jsonPreTokenizer `json:"pretokenizers"` // Sequence
	Pattern       struct {
		Regex  *string
		String *string
	} `json:"pattern"` // Split, and the next two
	Behavior         string `json:"behavior"`
	Invert           bool   `json:"invert"`
	AddPrefixSpace   bool   `json:"add_prefix_space"` // ByteLevel
	UseRegex         *bool  `json:"use_regex"`        // ByteLevel; true if missing
	IndividualDigits bool   `json:"individual_digits"`
}

func (p *jsonPreTokenizer) stages(stages []stage, depth int) ([]stage, error) {
	if depth > maxDepth || len(stages) > maxStages {
		return nil, malformed("more than %d steps or %d levels", maxStages, maxDepth)
	}
	var s stage
	var err error
	switch p.Type {
	case "ByteLevel":
		s, err = byteLevelStage(p.AddPrefixSpace, p.UseRegex == nil || *p.UseRegex)
	case "Digits":
		s, err = digitsStage(p.IndividualDigits)
	case "Split":
		switch {
		case p.Pattern.Regex != nil:
			s, err = splitStage(*p.Pattern.Regex, p.Behavior, p.Invert)
		case p.Pattern.String != nil:
			s, err = splitStage(regexp2.Escape(*p.Pattern.String), p.Behavior, p.Invert)
		default:
			err = malformed("Split has neither pattern.Regex nor pattern.String")
		}
	case "Sequence":
		for i := range p.Pretokenizers {
			if stages, err = p.Pretokenizers[i].stages(stages, depth+1); err != nil {
				return nil, err
			}
		}
		return stages, nil
	default:
		err = unsupported("kind %.60q", p.Type)
	}
	if err != nil {
		return nil, err
	}
	return append(stages, s), nil
}
