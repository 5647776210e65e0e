package picture

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unfused is what a value may differ where a reference divides by 255 first and normalises then: two more roundings.
const unfused = 1e-6

func processAll(t *testing.T, cfg Config, frames []*RGB) ([]float32, []int64) {
	t.Helper()
	values, grid, err := ProcessVideo(cfg, frames)
	if err != nil {
		t.Fatal(err)
	}
	return values, grid[:]
}

func TestProcessReference(t *testing.T) {
	for _, c := range readCases(t, "testdata/preprocess/cases.jsonl") {
		t.Run(c.File, func(t *testing.T) { c.check(t, "testdata/preprocess") })
	}
}

// TestProcessVideo compares with arrays of the small model's training code, frames of 84 × 112 pixels as they are.
func TestProcessVideo(t *testing.T) {
	files, err := filepath.Glob("testdata/video/*.png")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	cfg := Qwen()
	cfg.MinPixels, cfg.MaxPixels = 84*84, 224*224
	frames := openAll(t, "", files)
	values, grid := processAll(t, cfg, frames)
	checkGrid(t, grid, "testdata/video/image_grid_thw.npy")
	checkValues(t, values, "testdata/video/pixel_values.npy.gz", unfused)

	// An odd number of frames is filled up with the last.
	five, grid := processAll(t, cfg, frames[:5])
	same, _ := processAll(t, cfg, append(slices.Clone(frames[:5]), frames[4]))
	if !slices.Equal(grid, []int64{3, 8, 6}) || !slices.Equal(five, same) {
		t.Errorf("5 frames make the grid %v and other values than with the last one twice", grid)
	}
}

// TestProcessOrder tells every value of a picture of 2 × 2 blocks by where it comes from.
func TestProcessOrder(t *testing.T) {
	const side = 8 // patches of 2 × 2 pixels, blocks of 2 × 2 patches
	img := newRGB(side, side)
	for i := range img.Pix {
		img.Pix[i] = uint8(i)
	}
	cfg := Config{PatchSize: 2, TemporalPatch: 2, MergeSize: 2, MinPixels: 1, MaxPixels: 1 << 20, Std: [3]float32{1. / 255, 1. / 255, 1. / 255}}
	values, grid, err := Process(cfg, img)
	if err != nil {
		t.Fatal(err)
	}
	if grid != [3]int64{1, 4, 4} || len(values) != 2*len(img.Pix) {
		t.Fatalf("grid %v with %d values", grid, len(values))
	}
	i := 0
	for _, block := range [][2]int{{0, 0}, {4, 0}, {0, 4}, {4, 4}} {
		for _, patch := range [][2]int{{0, 0}, {2, 0}, {0, 2}, {2, 2}} {
			for channel := range 3 {
				for range 2 { // the one frame twice
					for _, pixel := range [][2]int{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
						x, y := block[0]+patch[0]+pixel[0], block[1]+patch[1]+pixel[1]
						if want := float32(img.Pix[3*(side*y+x)+channel]); values[i] != want {
							t.Fatalf("value %d is %v, want %v, channel %d of (%d, %d)", i, values[i], want, channel, x, y)
						}
						i++
					}
				}
			}
		}
	}
}

func TestProcessRefuses(t *testing.T) {
	picture := func(w, h int) *RGB {
		p := newRGB(w, h)
		p.Name = "cat.png"
		return p
	}
	with := func(change func(*Config)) Config {
		c := Qwen()
		change(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		cfg    Config
		frames []*RGB
		want   error
		text   string
	}{
		{"ratio", Qwen(), []*RGB{picture(201, 1)}, ErrLimit, "cat.png: picture over a limit: one side of 201×1 pixels is more than 200 times"},
		{"tall", Qwen(), []*RGB{picture(1, 201)}, ErrLimit, "cat.png"},
		{"no frames", Qwen(), nil, ErrMalformed, "without frames"},
		{"other size", Qwen(), []*RGB{picture(30, 40), picture(40, 30)}, ErrMalformed, "cat.png: malformed picture: a frame of 40×30 pixels in a video whose first, cat.png, has 30×40"},
		{"frames", Qwen(), make([]*RGB, 769), ErrLimit, "769 frames"},
		{"missing pixels", Qwen(), []*RGB{{Name: "cat.png", Width: 3, Height: 3, Pix: make([]uint8, 26)}}, ErrMalformed, "26 bytes for 3×3"},
		{"no pixels", Qwen(), []*RGB{{Name: "cat.png"}}, ErrMalformed, "cat.png"},
		{"values", with(func(c *Config) { c.MinPixels, c.MaxPixels = maxPixels, maxPixels }), slices.Repeat([]*RGB{picture(10, 10)}, 4), ErrLimit, "cat.png"},
		{"zero config", Config{}, []*RGB{picture(30, 40)}, ErrConfig, "patch_size"},
		{"negative deviation", with(func(c *Config) { c.Std[1] = -1 }), []*RGB{picture(30, 40)}, ErrConfig, "image_std"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "frames" {
				c.frames[0] = picture(1, 1)
			}
			values, _, err := ProcessVideo(c.cfg, c.frames)
			if values != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%d values, error %v, want %v with %q", len(values), err, c.want, c.text)
			}
		})
	}
}
