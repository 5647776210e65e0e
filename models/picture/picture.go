// Package picture turns picture files into what a Qwen2-VL vision tower reads.
//
// In go the bytes of a JPEG, PNG, WebP, BMP or GIF file, a model folder's processor settings, or the frames of a video.
// Out come pixel_values, one row of float32 per patch, and the grid (t, h, w) that says how the patches lie.
// The numbers are, bit for bit, those of transformers' Qwen2VLImageProcessor over torchvision (the "fast" one), which reads
// files with Pillow, libjpeg-turbo and libwebp.
//
// The way of a picture: Decode (file → RGB, turned upright by its EXIF orientation) → SmartResize (which size) → Resize
// (bicubic) → Process (normalise, cut into patches).
package picture

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Errors over what a file or a setting holds wrap one of these and start with the name of the file.
var (
	ErrMalformed   = errors.New("malformed picture")
	ErrUnsupported = errors.New("unsupported picture")
	ErrLimit       = errors.New("picture over a limit")
	ErrConfig      = errors.New("malformed picture settings")
	ErrOption      = errors.New("picture sizes")
)

// Limits. They hold before anything of the size they bound is allocated.
const (
	maxBytes  = 64 << 20    // of a file
	maxPixels = 178_956_970 // of a decoded picture: where Pillow speaks of a decompression bomb
	maxFrames = 768         // of a video: transformers' max_frames
)

// RGB is a decoded picture: 8 bits a channel, no alpha, upright.
type RGB struct {
	Name          string // what messages call it
	Width, Height int
	Pix           []uint8 // row by row from the top, 3 bytes a pixel: len(Pix) is 3·Width·Height
}

func newRGB(w, h int) *RGB {
	return &RGB{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
}

// row returns the bytes of row y.
func (p *RGB) row(y int) []uint8 {
	return p.Pix[3*p.Width*y : 3*p.Width*(y+1)]
}

// Open reads and decodes the picture file at path. Besides Decode's errors it returns those of the file system.
func Open(path string) (*RGB, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}
	return Decode(path, data)
}

// Decode decodes a picture file held in memory, whose name is for messages only: the format is told by its first bytes.
// The result is what Pillow's Image.open, ImageOps.exif_transpose and convert("RGB") give one after the other: alpha is
// dropped, not blended; 16-bit grey is cut off at 255, other 16-bit channels keep their upper byte; of an animation the
// first frame is taken. The result does not alias data.
func Decode(name string, data []byte) (*RGB, error) { return DecodeWithin(name, data, maxPixels) }

// DecodeWithin is Decode for pictures of at most most pixels; a larger one is refused
// by its header, with ErrLimit.
func DecodeWithin(name string, data []byte, most int) (*RGB, error) {
	p, err := decode(data, limit(min(most, maxPixels)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.Name = name
	return p, nil
}

func decode(data []byte, most limit) (*RGB, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: the file is empty", ErrMalformed)
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("%w: the file is larger than %d bytes", ErrLimit, maxBytes)
	}
	f, ok := sniff(data)
	if !ok {
		return nil, fmt.Errorf("%w: it starts with %q, which no picture format does; %s", ErrMalformed, data[:min(len(data), 12)], supported)
	}
	if f.decode == nil {
		return nil, fmt.Errorf("%w: this is %s; %s", ErrUnsupported, f.name, supported)
	}
	p, err := f.decode(data, most)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrLimit):
		return nil, err
	}
	return nil, fmt.Errorf("%w: broken %s: %w", ErrMalformed, f.name, err)
}

// limit is the most pixels that a picture may have.
type limit int

// check refuses a size read from a file's header before memory is spent on it.
func (most limit) check(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("its size is %d×%d pixels", w, h)
	}
	if int64(w)*int64(h) > int64(most) {
		return fmt.Errorf("%w: %d×%d pixels, at most %d are allowed", ErrLimit, w, h, most)
	}
	return nil
}

// checkBytes refuses a header whose size the file cannot hold, so that a short file never costs much memory.
// need is a lower bound of the bytes that such a picture takes.
func checkBytes(w, h int, need int64, data []byte) error {
	if need > int64(len(data)) {
		return fmt.Errorf("%d×%d pixels take at least %d bytes, the file has %d", w, h, need, len(data))
	}
	return nil
}
