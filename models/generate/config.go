// Package generate reads how a model wants to be sampled and chooses tokens.
//
// Config comes from the model's folder; a Sampler takes the logits of one position and the tokens so far and returns the
// next token; Stops says when to end.
package generate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"mnnconv/schemas/jsonkeys"
)

// ErrMalformed is wrapped by errors about a configuration file that cannot be read as one.
var ErrMalformed = errors.New("malformed generation config")

const (
	maxFile = 1 << 20 // bytes of a configuration file
	maxEOS  = 1024    // end tokens in it
)

// Config is what a model folder says of generation.
type Config struct {
	EOS          []int32 // tokens that end an answer
	BOS, Pad     int32   // -1 where the model has none
	MaxNewTokens int     // 0: not said
	Sampling     Options // fields not in the file are those of Defaults
}

// Stops are the tokens that end an answer.
type Stops struct{ IDs []int32 }

// Has says whether id ends an answer.
func (s Stops) Has(id int32) bool { return slices.Contains(s.IDs, id) }

// LoadConfig reads generation_config.json of a model folder, or, where there is none, the model and search members of
// onnxruntime-genai's genai_config.json. With neither it returns a zero Config and an error that wraps fs.ErrNotExist.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "generation_config.json")
	var hf fields
	err := decode(path, &hf)
	if err == nil {
		return hf.config(path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Config{}, err
	}
	path = filepath.Join(dir, "genai_config.json")
	var genai struct {
		Model, Search fields
	}
	if err = decode(path, &genai); err == nil {
		all := genai.Search
		all.EOS, all.BOS, all.Pad = genai.Model.EOS, genai.Model.BOS, genai.Model.Pad
		return all.config(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: neither generation_config.json nor genai_config.json: %w", dir, fs.ErrNotExist)
	}
	return Config{}, err
}

// fields are the members of both files that matter here. A null is as good as none.
type fields struct {
	EOS               ids      `json:"eos_token_id"`
	BOS               *int32   `json:"bos_token_id"`
	Pad               *int32   `json:"pad_token_id"`
	DoSample          *bool    `json:"do_sample"`
	Temperature       *float64 `json:"temperature"`
	TopK              *int     `json:"top_k"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
	MaxNewTokens      *int     `json:"max_new_tokens"`
}

// ids is one token or a list of them.
type ids []int32

func (i *ids) UnmarshalJSON(data []byte) error {
	var one int32
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		*i = ids{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int32)(i))
}

func decode(path string, to any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return err
	case len(data) > maxFile:
		return fmt.Errorf("%s: %w: more than %d bytes", path, ErrMalformed, maxFile)
	}
	if err := jsonkeys.Unmarshal(data, to, true); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrMalformed, err)
	}
	return nil
}

func (f *fields) config(path string) (Config, error) {
	c := Config{EOS: f.EOS, BOS: -1, Pad: -1, Sampling: Defaults()}
	set(&c.BOS, f.BOS)
	set(&c.Pad, f.Pad)
	set(&c.MaxNewTokens, f.MaxNewTokens)
	set(&c.Sampling.Sample, f.DoSample)
	set(&c.Sampling.Temperature, f.Temperature)
	set(&c.Sampling.TopK, f.TopK)
	set(&c.Sampling.TopP, f.TopP)
	set(&c.Sampling.MinP, f.MinP)
	set(&c.Sampling.RepetitionPenalty, f.RepetitionPenalty)

	err := c.Sampling.Check()
	switch bad := func(id int32) bool { return id < 0 }; {
	case err != nil:
	case len(c.EOS) > maxEOS:
		err = fmt.Errorf("%d tokens in eos_token_id, want at most %d", len(c.EOS), maxEOS)
	case slices.ContainsFunc(c.EOS, bad):
		err = fmt.Errorf("eos_token_id %v: want ids from 0 to %d", c.EOS, math.MaxInt32)
	case c.MaxNewTokens < 0:
		err = fmt.Errorf("max_new_tokens %d: want 0 or more", c.MaxNewTokens)
	}
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w: %w", path, ErrMalformed, err)
	}
	return c, nil
}

// set stores *from where there is one.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
