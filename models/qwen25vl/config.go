package qwen25vl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mnnconv/schemas/jsonkeys"
)

// Config is what the model folder's side files say of the model, whatever
// exporter wrote them. Sizes of layers are not here: the graphs hold them.
type Config struct {
	ImageToken, VideoToken int32
	VisionStart            int32
	Merge, Patch           int64
	Window                 int64   // pixels; 0: no file says it
	TokensPerSecond        float64 // temporal positions per second of video
	MaxPositions           int     // tokens the model was made for
	Hidden                 int64   // 0: no file says it
	EOS                    []int32
	MinPixels, MaxPixels   int // of MNN's side file; 0 elsewhere
	Mean, Std              []float64
	Source                 string // the file the ids came from
	lacks                  []string
	wrong                  []error // members that have another type than they must
}

// ErrConfig: a side file is missing or contradicts itself.
var ErrConfig = errors.New("model configuration")

// ErrGeometry: pictures are cut in another way than Qwen2.5-VL's.
var ErrGeometry = errors.New("geometry of pictures is unsupported")

// maxSideFile bounds JSON side files.
const maxSideFile = 64 << 20

// readConfig reads config.json (flat, or nested under text_config), MNN's
// llm_config.json or onnxruntime-genai's genai_config.json.
func readConfig(dir string) (*Config, error) {
	c := &Config{ImageToken: -1, VideoToken: -1, VisionStart: -1, Merge: 2, Patch: 14, TokensPerSecond: 2}
	for _, f := range []struct {
		name string
		read func(*Config, map[string]any) error
	}{{"config.json", (*Config).readHF}, {"llm_config.json", (*Config).readMNN}, {"genai_config.json", (*Config).readGenAI}} {
		m, err := readJSON(filepath.Join(dir, f.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if f.name == "config.json" && isMNN(m) {
			continue // MNN's runtime configuration shares the name
		}
		c.Source = filepath.Join(dir, f.name)
		if err := f.read(c, m); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Source, err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("%s: %w: none of config.json, llm_config.json, genai_config.json is there: %w", dir, ErrConfig, fs.ErrNotExist)
}

func readJSON(path string) (map[string]any, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSideFile || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file of at most %d bytes", path, ErrConfig, int64(maxSideFile))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := jsonkeys.Unmarshal(b, &m, false); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrConfig, err)
	}
	return m, nil
}

func (c *Config) readHF(m map[string]any) error {
	switch t, _ := m["model_type"].(string); t {
	case "qwen2_5_vl", "qwen2_5_vl_text":
	case "qwen2_5_vl_vision": // of the vision module by itself
		m = map[string]any{"vision_config": m}
	default:
		return fmt.Errorf("%w: model_type is %.40s, this family is qwen2_5_vl", ErrConfig, found(m["model_type"]))
	}
	all := section{c: c, m: m}
	text, vision := all.object("text_config"), all.object("vision_config")
	if text.m == nil {
		text = all
	}
	if err := c.tokens(m, "image_token_id", "video_token_id", "vision_start_token_id"); err != nil {
		return err
	}
	c.MaxPositions = int(text.whole("max_position_embeddings", 0))
	c.Hidden = text.whole("hidden_size", 0)
	c.Merge = vision.whole("spatial_merge_size", 2)
	c.Patch = vision.whole("patch_size", vision.whole("spatial_patch_size", 14))
	c.Window = vision.whole("window_size", 0)
	c.TokensPerSecond = vision.number("tokens_per_second", 2)
	if c.EOS = all.ids("eos_token_id"); c.EOS == nil {
		c.EOS = text.ids("eos_token_id")
	}
	return c.sane()
}

// readMNN: window, patch and merge are constants of MNN's own C++, not in any file.
func (c *Config) readMNN(m map[string]any) error {
	if err := c.tokens(m, "image_pad", "video_pad", "vision_start"); err != nil {
		return err
	}
	all := section{c: c, m: m}
	c.MaxPositions = int(all.whole("max_position_embeddings", 0))
	c.Hidden = all.whole("hidden_size", 0)
	c.Window = 112
	c.MinPixels, c.MaxPixels = int(all.whole("image_min_pixels", 0)), int(all.whole("image_max_pixels", 0))
	c.Mean, c.Std = all.numbers("image_mean"), all.numbers("image_norm")
	return c.sane()
}

// readGenAI: its window_size is a default of the exporter and is not read; the
// vision graph holds the model's own.
func (c *Config) readGenAI(m map[string]any) error {
	model := section{c: c, m: m}.object("model")
	if err := c.tokens(model.m, "image_token_id", "video_token_id", "vision_start_token_id"); err != nil {
		return err
	}
	c.MaxPositions = int(model.whole("context_length", 0))
	c.EOS = model.ids("eos_token_id")
	c.Hidden = model.object("decoder").whole("hidden_size", 0)
	if v := model.object("vision"); v.m != nil {
		c.Merge = v.whole("spatial_merge_size", 2)
		c.Patch = v.whole("patch_size", 14)
		c.TokensPerSecond = v.number("tokens_per_second", 2)
	}
	return c.sane()
}

// tokens reads the ids of the tokens that stand for pictures; one that no file names
// is -1.
func (c *Config) tokens(m map[string]any, image, video, start string) error {
	for _, f := range []struct {
		key string
		to  *int32
	}{{image, &c.ImageToken}, {video, &c.VideoToken}, {start, &c.VisionStart}} {
		if m[f.key] == nil {
			c.lacks = append(c.lacks, f.key)
			continue
		}
		v, ok := m[f.key].(float64)
		if !ok || v < 0 || v >= 1<<24 || v != float64(int32(v)) {
			return fmt.Errorf("%w: %s is %.40s, a token id is needed", ErrConfig, f.key, found(m[f.key]))
		}
		*f.to = int32(v)
	}
	return nil
}

// complete is an error where a token is not named that a model which takes pictures
// must know.
func (c *Config) complete() error {
	if len(c.lacks) > 0 {
		return fmt.Errorf("%s: %w: %s is missing; the id of the token is needed, since the folder has a vision tower", c.Source, ErrConfig, strings.Join(c.lacks, ", "))
	}
	return nil
}

// found shows a member of a JSON file in a message.
func found(v any) string {
	if v == nil {
		return "missing"
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// sane joins what has a wrong type with what is out of range.
func (c *Config) sane() error {
	if len(c.wrong) > 0 {
		return errors.Join(c.wrong...)
	}
	if c.Merge < 1 || c.Merge > 16 || c.Patch < 1 || c.Patch > 1024 || c.Window < 0 || c.Window > 1<<16 ||
		c.MaxPositions < 0 || c.TokensPerSecond < 0 || c.TokensPerSecond > 1e6 {
		return fmt.Errorf("%w: merge %d, patch %d, window %d, positions %d, tokens per second %g are out of range",
			ErrConfig, c.Merge, c.Patch, c.Window, c.MaxPositions, c.TokensPerSecond)
	}
	return nil
}
