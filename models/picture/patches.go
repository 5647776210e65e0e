package picture

import "fmt"

// maxValues bounds the pixel_values of one picture or video, 2.4 GB: 128,000 tokens, the longest context of the Qwen2-VL
// family, of 4 patches with 1,176 values each.
const maxValues = 128_000 * 4 * 1176

// Process makes the model's input of one picture: pixel_values, h·w rows of 3·TemporalPatch·PatchSize² values (1,176 for
// Qwen), and the grid (1, h, w) in patches. Rows of several pictures are put one after the other by the caller.
// See ProcessVideo for the order of the values and the errors: a picture is a video of one frame.
func Process(cfg Config, img *RGB) (values []float32, grid [3]int64, err error) {
	return ProcessVideo(cfg, []*RGB{img})
}

// ProcessVideo makes the model's input of a video: its frames in order, all of one size, TemporalPatch of them (2) in each
// step of the grid (t, h, w); the last frame is repeated to fill the last step.
//
// Each frame is sized between cfg.MinPixels and cfg.MaxPixels, the same limits as a picture. That is what transformers'
// Qwen2VLVideoProcessor does with a model folder whose preprocessor_config.json names min_pixels and max_pixels, as those
// of Qwen2-VL and Qwen2.5-VL do; its own limits of 128·28² and 768·28² pixels a frame are for folders that name none.
//
// A row is one patch: channel, frame of the step, line, column. Rows go by step, then block of MergeSize × MergeSize
// patches, line by line, and within the block line by line. A value is (level − mean·255) / (std·255) in float32, which is
// how the reference fuses rescaling and normalising.
//
// The error is ErrLimit for a ratio of sides over 200, more than 768 frames or more than 602,112,000 values,
// ErrMalformed for frames of different sizes and for no frames.
func ProcessVideo(cfg Config, frames []*RGB) (values []float32, grid [3]int64, err error) {
	grid, err = Grid(cfg, frames)
	if err != nil {
		return nil, grid, err
	}
	h, w := int(grid[1])*cfg.PatchSize, int(grid[2])*cfg.PatchSize
	step := int(grid[1]*grid[2]) * cfg.rowLength()
	l := newLevels(cfg)
	values = make([]float32, int(grid[0])*step)
	var sized *RGB
	for i := range int(grid[0]) * cfg.TemporalPatch {
		if i < len(frames) {
			sized = Resize(frames[i], w, h)
		}
		cfg.flatten(values[i/cfg.TemporalPatch*step:], sized, i%cfg.TemporalPatch, l)
	}
	return values, grid, nil
}

// Grid is the grid that ProcessVideo returns for frames, or its error, without the values.
func Grid(cfg Config, frames []*RGB) (grid [3]int64, err error) {
	if err := cfg.check(); err != nil {
		return grid, err
	}
	if len(frames) == 0 {
		return grid, fmt.Errorf("%w: a video without frames", ErrMalformed)
	}
	first := frames[0]
	if len(frames) > maxFrames {
		return grid, fmt.Errorf("%s: %w: the video has %d frames, at most %d are allowed; take fewer a second", first.Name, ErrLimit, len(frames), maxFrames)
	}
	for _, f := range frames {
		if f.Width < 1 || f.Height < 1 || len(f.Pix) != 3*f.Width*f.Height {
			return grid, fmt.Errorf("%s: %w: %d bytes for %d×%d pixels", f.Name, ErrMalformed, len(f.Pix), f.Width, f.Height)
		}
		if f.Width != first.Width || f.Height != first.Height {
			return grid, fmt.Errorf("%s: %w: a frame of %d×%d pixels in a video whose first, %s, has %d×%d", f.Name, ErrMalformed, f.Width, f.Height, first.Name, first.Width, first.Height)
		}
	}
	h, w, err := SmartResize(first.Height, first.Width, cfg.PatchSize*cfg.MergeSize, cfg.MinPixels, cfg.MaxPixels)
	if err != nil {
		return grid, fmt.Errorf("%s: %w", first.Name, err)
	}
	t := (len(frames) + cfg.TemporalPatch - 1) / cfg.TemporalPatch
	gh, gw := h/cfg.PatchSize, w/cfg.PatchSize
	step := gh * gw * cfg.rowLength()
	if t*step > maxValues {
		return grid, fmt.Errorf("%s: %w: %d×%d×%d patches have %d values, at most %d are allowed; lower the pixels or the frames", first.Name, ErrLimit, t, gh, gw, t*step, maxValues)
	}
	return [3]int64{int64(t), int64(gh), int64(gw)}, nil
}

// rowLength is the number of values of a patch.
func (c Config) rowLength() int { return 3 * c.TemporalPatch * c.PatchSize * c.PatchSize }

// levels holds the normalised value of each level of each channel.
type levels [3][256]float32

func newLevels(cfg Config) *levels {
	var l levels
	for c := range l {
		mean, std := float32(cfg.Mean[c]*255), float32(cfg.Std[c]*255) // the conversions forbid fusing with the subtraction
		for v := range l[c] {
			l[c][v] = (float32(v) - mean) / std
		}
	}
	return &l
}

// flatten writes one frame, already sized, to the patches of one step of the grid, as its frame number slot.
func (c Config) flatten(values []float32, frame *RGB, slot int, l *levels) {
	p, block := c.PatchSize, c.PatchSize*c.MergeSize
	for top := 0; top < frame.Height; top += block {
		for left := 0; left < frame.Width; left += block {
			for y := top; y < top+block; y += p {
				for x := left; x < left+block; x += p {
					c.patch(values, frame, x, y, slot, l)
					values = values[c.rowLength():]
				}
			}
		}
	}
}

// patch writes the patch whose upper left pixel is (x, y) to the row at the start of values.
func (c Config) patch(values []float32, frame *RGB, x, y, slot int, l *levels) {
	p := c.PatchSize
	for channel := range 3 {
		table := &l[channel]
		out := values[(channel*c.TemporalPatch+slot)*p*p:][:p*p]
		for line := range p {
			src := frame.row(y + line)[3*x+channel:]
			for i := range out[:p] {
				out[i] = table[src[3*i]]
			}
			out = out[p:]
		}
	}
}
