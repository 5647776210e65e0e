package picture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"mnnconv/schemas/jsonkeys"
)

// Config holds the settings of an image processor.
type Config struct {
	PatchSize     int // side of a patch in pixels
	TemporalPatch int // frames in a patch
	MergeSize     int // side, in patches, of what becomes one token
	MinPixels     int // of a resized picture
	MaxPixels     int
	Mean, Std     [3]float32 // of the channels red, green, blue, on the scale 0 to 1
}

// Qwen returns the settings published with Qwen2-VL and Qwen2.5-VL.
func Qwen() Config {
	return Config{
		PatchSize: 14, TemporalPatch: 2, MergeSize: 2,
		MinPixels: 56 * 56, MaxPixels: 12845056,
		Mean: [3]float32{0.48145466, 0.4578275, 0.40821073},
		Std:  [3]float32{0.26862954, 0.26130258, 0.27577711},
	}
}

// LoadConfig reads the settings of the model folder dir. It looks, as transformers does, for "image_processor" in
// processor_config.json, then for preprocessor_config.json; then for the list of transforms that onnxruntime's image
// processor reads from processor_config.json. What a file leaves out has Qwen's value, but max_pixels has that of
// transformers' class, 28·28·1280. Without any of them the result is Qwen() and an error that wraps fs.ErrNotExist.
//
// A file that asks for another processing than this package's (no resizing, another filter) is refused with
// ErrUnsupported; a broken one with ErrConfig.
func LoadConfig(dir string) (Config, error) {
	const nested, plain = "processor_config.json", "preprocessor_config.json"
	var both struct {
		ImageProcessor *processorFile `json:"image_processor"`
		Processor      *struct {
			Transforms []struct {
				Operation transform `json:"operation"`
			} `json:"transforms"`
		} `json:"processor"`
	}
	path := filepath.Join(dir, nested)
	if err := readJSON(path, &both); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, err
	}
	if both.ImageProcessor != nil {
		return both.ImageProcessor.config(path)
	}
	var file processorFile
	switch err := readJSON(filepath.Join(dir, plain), &file); {
	case err == nil:
		return file.config(filepath.Join(dir, plain))
	case !errors.Is(err, fs.ErrNotExist):
		return Config{}, err
	case both.Processor == nil:
		return Qwen(), fmt.Errorf("%s: neither %s nor %s tells how pictures are prepared: %w", dir, plain, nested, fs.ErrNotExist)
	}
	file = processorFile{}
	for _, t := range both.Processor.Transforms {
		t.Operation.addTo(&file)
	}
	return file.config(path)
}

// maxConfigBytes bounds a settings file; real ones have less than 2 KB.
const maxConfigBytes = 1 << 20

func readJSON(path string, to any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return err
	}
	if len(data) > maxConfigBytes {
		return fmt.Errorf("%s: %w: the settings have more than %d bytes", path, ErrLimit, maxConfigBytes)
	}
	if err := jsonkeys.Unmarshal(data, to, true); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrConfig, err)
	}
	return nil
}

// processorFile is preprocessor_config.json. The limits have three spellings, of which the first one given counts:
// min_pixels; size.shortest_edge, which newer transformers write; size.min_pixels, which the oldest did.
type processorFile struct {
	MinPixels *int `json:"min_pixels"`
	MaxPixels *int `json:"max_pixels"`
	Size      struct {
		ShortestEdge *int `json:"shortest_edge"`
		LongestEdge  *int `json:"longest_edge"`
		MinPixels    *int `json:"min_pixels"`
		MaxPixels    *int `json:"max_pixels"`
	} `json:"size"`
	PatchSize     *int      `json:"patch_size"`
	TemporalPatch *int      `json:"temporal_patch_size"`
	MergeSize     *int      `json:"merge_size"`
	Mean          []float32 `json:"image_mean"`
	Std           []float32 `json:"image_std"`

	DoResize      *bool    `json:"do_resize"`
	DoRescale     *bool    `json:"do_rescale"`
	DoNormalize   *bool    `json:"do_normalize"`
	Resample      *int     `json:"resample"`
	RescaleFactor *float64 `json:"rescale_factor"`
}

// config turns the file at path into settings.
func (f *processorFile) config(path string) (Config, error) {
	refuse := func(key string, value, want any) error {
		return fmt.Errorf("%s: %w: %s is %v, only %v can be done", path, ErrUnsupported, key, value, want)
	}
	const bicubicFilter = 3 // PIL's number
	for _, flag := range []struct {
		key   string
		value *bool
	}{{"do_resize", f.DoResize}, {"do_rescale", f.DoRescale}, {"do_normalize", f.DoNormalize}} {
		if flag.value != nil && !*flag.value {
			return Config{}, refuse(flag.key, false, true)
		}
	}
	if f.Resample != nil && *f.Resample != bicubicFilter {
		return Config{}, refuse("resample", *f.Resample, bicubicFilter)
	}
	if f.RescaleFactor != nil && math.Abs(float64(*f.RescaleFactor*255)-1) > 1e-6 {
		return Config{}, refuse("rescale_factor", *f.RescaleFactor, 1./255)
	}
	c := Qwen()
	c.MaxPixels = 28 * 28 * 1280
	set(&c.PatchSize, f.PatchSize)
	set(&c.TemporalPatch, f.TemporalPatch)
	set(&c.MergeSize, f.MergeSize)
	set(&c.MinPixels, f.MinPixels, f.Size.ShortestEdge, f.Size.MinPixels)
	set(&c.MaxPixels, f.MaxPixels, f.Size.LongestEdge, f.Size.MaxPixels)
	for _, numbers := range []struct {
		key  string
		from []float32
		to   *[3]float32
	}{{"image_mean", f.Mean, &c.Mean}, {"image_std", f.Std, &c.Std}} {
		if numbers.from != nil && copy(numbers.to[:], numbers.from) != len(numbers.from) || len(numbers.from)%3 != 0 {
			return Config{}, fmt.Errorf("%s: %w: %s has %d numbers, not 3", path, ErrConfig, numbers.key, len(numbers.from))
		}
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// set gives to the first value that is there.
func set(to *int, values ...*int) {
	for _, v := range values {
		if v != nil {
			*to = *v
			return
		}
	}
}

// Within returns c with other limits of pixels, where they are not 0. What cannot be
// followed, such as a maximum below c's own minimum, wraps ErrOption.
func (c Config) Within(least, most int) (Config, error) {
	if least > 0 {
		c.MinPixels = least
	}
	if most > 0 {
		c.MaxPixels = most
	}
	if c.MinPixels > min(c.MaxPixels, maxPixels) {
		return c, fmt.Errorf("%w: %d pixels at least and %d at most: change both limits", ErrOption, c.MinPixels, c.MaxPixels)
	}
	return c, nil
}

// check refuses settings that cannot be followed.
func (c Config) check() error {
	bad := func(key string, value, want any) error {
		return fmt.Errorf("%w: %s is %v, not %v", ErrConfig, key, value, want)
	}
	const maxSide = 256
	for _, side := range []struct {
		key   string
		value int
	}{{"patch_size", c.PatchSize}, {"temporal_patch_size", c.TemporalPatch}, {"merge_size", c.MergeSize}} {
		if side.value < 1 || side.value > maxSide {
			return bad(side.key, side.value, fmt.Sprintf("1 to %d", maxSide))
		}
	}
	if c.MinPixels < 1 || c.MinPixels > maxPixels {
		return bad("min_pixels", c.MinPixels, fmt.Sprintf("1 to %d", maxPixels))
	}
	if c.MaxPixels < c.MinPixels {
		return bad("max_pixels", c.MaxPixels, fmt.Sprintf("at least min_pixels, %d", c.MinPixels))
	}
	for i := range 3 {
		if m := float64(c.Mean[i]); math.IsNaN(m) || math.IsInf(m, 0) {
			return bad("image_mean", c.Mean, "finite")
		}
		if s := float64(c.Std[i]); !(s > 0) || math.IsInf(s, 0) {
			return bad("image_std", c.Std, "positive and finite")
		}
	}
	return nil
}

// transform is one step of onnxruntime-extensions' image processor.
type transform struct {
	Type  string `json:"type"`
	Attrs struct {
		MinPixels     *int      `json:"min_pixels"`
		MaxPixels     *int      `json:"max_pixels"`
		PatchSize     *int      `json:"patch_size"`
		TemporalPatch *int      `json:"temporal_patch_size"`
		MergeSize     *int      `json:"merge_size"`
		Factor        *float64  `json:"rescale_factor"`
		Mean          []float32 `json:"mean"`
		Std           []float32 `json:"std"`
	} `json:"attrs"`
}

// addTo notes what the step tells.
func (t *transform) addTo(f *processorFile) {
	a := &t.Attrs
	switch t.Type {
	case "Resize":
		f.MinPixels, f.MaxPixels = a.MinPixels, a.MaxPixels
	case "Rescale":
		f.RescaleFactor = a.Factor
	case "Normalize":
		f.Mean, f.Std = a.Mean, a.Std
	case "PatchImage":
		f.PatchSize, f.TemporalPatch, f.MergeSize = a.PatchSize, a.TemporalPatch, a.MergeSize
	}
}
