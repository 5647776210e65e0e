package picture

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadConfig(t *testing.T) {
	const plain, nested = "preprocessor_config.json", "processor_config.json"
	with := func(change func(*Config)) Config {
		c := Qwen()
		change(&c)
		return c
	}
	const olive = `{"processor": {"name": "qwen2_5_image_processor", "transforms": [
		{"operation": {"name": "decode_image", "type": "DecodeImage", "attrs": {"color_space": "RGB"}}},
		{"operation": {"name": "convert_to_rgb", "type": "ConvertRGB"}},
		{"operation": {"name": "resize", "type": "Resize", "attrs": {"width": 540, "height": 360, "smart_resize": 1, "min_pixels": 100, "max_pixels": 90000, "patch_size": 14, "merge_size": 2}}},
		{"operation": {"name": "rescale", "type": "Rescale", "attrs": {"rescale_factor": 0.00392156862745098}}},
		{"operation": {"name": "normalize", "type": "Normalize", "attrs": {"mean": [0.5, 0.25, 0.75], "std": [1, 1, 0.5], "qwen2_5_vl": 1}}},
		{"operation": {"name": "patch_image", "type": "PatchImage", "attrs": {"patch_size": 16, "temporal_patch_size": 3, "merge_size": 4}}}]}}`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Config
	}{
		{"limits at the top", map[string]string{plain: `{"min_pixels": 7056, "max_pixels": 50176, "size": {"shortest_edge": 1, "longest_edge": 2}}`},
			with(func(c *Config) { c.MinPixels, c.MaxPixels = 7056, 50176 })},
		{"limits as edges", map[string]string{plain: `{"size": {"shortest_edge": 3136, "longest_edge": 1605632}, "resample": 3, "do_resize": true, "rescale_factor": 0.00392156862745098}`},
			with(func(c *Config) { c.MaxPixels = 1605632 })},
		{"limits in size", map[string]string{plain: `{"size": {"min_pixels": 784, "max_pixels": 12845056}}`},
			with(func(c *Config) { c.MinPixels = 784 })},
		{"everything", map[string]string{plain: `{"min_pixels": 1, "max_pixels": 2, "patch_size": 16, "temporal_patch_size": 1, "merge_size": 3, "image_mean": [0.5, 0.5, 0.25], "image_std": [0.5, 1, 2], "image_processor_type": "Qwen2_5_VLImageProcessor"}`},
			Config{16, 1, 3, 1, 2, [3]float32{0.5, 0.5, 0.25}, [3]float32{0.5, 1, 2}}},
		{"nothing said", map[string]string{plain: `{}`},
			with(func(c *Config) { c.MaxPixels = 1003520 })},
		{"nested wins", map[string]string{nested: `{"image_processor": {"size": {"shortest_edge": 5, "longest_edge": 6}}, "video_processor": {}}`, plain: `{"min_pixels": 1}`},
			with(func(c *Config) { c.MinPixels, c.MaxPixels = 5, 6 })},
		{"not nested", map[string]string{nested: `{"processor_class": "Qwen2_5_VLProcessor"}`, plain: `{"max_pixels": 5000}`},
			with(func(c *Config) { c.MaxPixels = 5000 })},
		{"transforms", map[string]string{nested: olive},
			Config{16, 3, 4, 100, 90000, [3]float32{0.5, 0.25, 0.75}, [3]float32{1, 1, 0.5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := LoadConfig(folder(t, c.files))
			if err != nil || got != c.want {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	for _, c := range []struct {
		name, file, text string
		want             error
	}{
		{"not JSON", `{"min_pixels": 3,`, "unexpected end", ErrConfig},
		{"text for a number", `{"patch_size": "14"}`, "patch_size", ErrConfig},
		{"zero patch", `{"patch_size": 0}`, "patch_size is 0", ErrConfig},
		{"huge patch", `{"merge_size": 100000}`, "merge_size is 100000", ErrConfig},
		{"limits crossed", `{"min_pixels": 50, "max_pixels": 49}`, "max_pixels is 49", ErrConfig},
		{"huge minimum", `{"min_pixels": 999999999999}`, "min_pixels", ErrConfig},
		{"zero deviation", `{"image_std": [1, 0, 1]}`, "image_std", ErrConfig},
		{"two means", `{"image_mean": [1, 0]}`, "image_mean has 2 numbers", ErrConfig},
		{"six means", `{"image_mean": [1, 0, 0, 1, 0, 0]}`, "image_mean has 6 numbers", ErrConfig},
		{"no resizing", `{"do_resize": false}`, "do_resize is false", ErrUnsupported},
		{"bilinear", `{"resample": 2}`, "resample is 2", ErrUnsupported},
		{"not rescaled", `{"rescale_factor": 1}`, "rescale_factor is 1", ErrUnsupported},
		{"too long", strings.Repeat(" ", maxConfigBytes+1), "more than", ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadConfig(folder(t, map[string]string{plain: c.file}))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), plain) {
				t.Errorf("error %v, want %v with %q and the file's name", err, c.want, c.text)
			}
		})
	}
	got, err := LoadConfig(t.TempDir())
	if !errors.Is(err, fs.ErrNotExist) || got != Qwen() {
		t.Errorf("empty folder: %+v, %v", got, err)
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
