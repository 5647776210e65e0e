package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
)

// decodeWebP walks the RIFF chunks itself and hands the pixels to x/image's vp8 and vp8l. x/image/webp would read lossy
// pictures as JPEG's full-range colours, which VP8's are not, decode alpha that is dropped here, and refuse animations.
func decodeWebP(data []byte, most limit) (*RGB, error) {
	size := uint64(binary.LittleEndian.Uint32(data[4:])) + 8
	if size > uint64(len(data)) {
		return nil, io.ErrUnexpectedEOF
	}
	var p *RGB
	var canvasW, canvasH int
	orientation := 1
	err := riffChunks(data[12:max(size, 12)], func(id string, body []byte) (err error) {
		switch id {
		case "VP8X":
			if len(body) < 10 {
				return io.ErrUnexpectedEOF
			}
			canvasW, canvasH = 1+uint24(body[4:]), 1+uint24(body[7:])
			return most.check(canvasW, canvasH)
		case "EXIF":
			orientation = exifOrientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		case "VP8 ", "VP8L":
			if p == nil {
				p, err = webpFrame(id, body, most)
			}
		case "ANMF":
			if p == nil {
				p, err = webpAnimation(body, canvasW, canvasH, most)
			}
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, errors.New("it holds no frame")
	case canvasW > 0 && (p.Width != canvasW || p.Height != canvasH):
		return nil, fmt.Errorf("its frame is %d×%d pixels, its canvas %d×%d", p.Width, p.Height, canvasW, canvasH)
	}
	return upright(p, orientation), nil
}

// riffChunks calls f with each chunk; a rest too short for a chunk header is ignored.
func riffChunks(data []byte, f func(id string, body []byte) error) error {
	for len(data) >= 8 {
		id, n := string(data[:4]), uint64(binary.LittleEndian.Uint32(data[4:]))
		data = data[8:]
		if n > uint64(len(data)) {
			return fmt.Errorf("chunk %q: %w", id, io.ErrUnexpectedEOF)
		}
		if err := f(id, data[:n]); err != nil {
			return err
		}
		data = data[min(n+n%2, uint64(len(data))):]
	}
	return nil
}

// webpAnimation puts an animation's first frame on its canvas, which libwebp starts black and transparent.
func webpAnimation(body []byte, w, h int, most limit) (*RGB, error) {
	if len(body) < 16 || w == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	var frame *RGB
	err := riffChunks(body[16:], func(id string, body []byte) (err error) {
		if frame == nil && (id == "VP8 " || id == "VP8L") {
			frame, err = webpFrame(id, body, most)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	left, top := 2*uint24(body), 2*uint24(body[3:])
	if frame == nil || left+frame.Width > w || top+frame.Height > h {
		return nil, errors.New("its first frame is missing or larger than its canvas")
	}
	p := newRGB(w, h)
	for y := range frame.Height {
		copy(p.row(top + y)[3*left:], frame.row(y))
	}
	return p, nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// webpFrame decodes one lossy ("VP8 ") or lossless ("VP8L") picture.
func webpFrame(id string, body []byte, most limit) (*RGB, error) {
	if id == "VP8L" {
		c, err := vp8l.DecodeConfig(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if err := most.check(c.Width, c.Height); err != nil {
			return nil, err
		}
		img, err := vp8l.Decode(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		m, ok := img.(*image.NRGBA)
		if !ok {
			return nil, fmt.Errorf("%w: WebP with the colour model of %T", ErrUnsupported, img)
		}
		return fromRGBA(m.Rect, m.Pix, m.Stride), nil
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(body), len(body))
	head, err := d.DecodeFrameHeader()
	if err != nil {
		return nil, err
	}
	if err := most.check(head.Width, head.Height); err != nil {
		return nil, err
	}
	m, err := d.DecodeFrame()
	if err != nil {
		return nil, err
	}
	return fromVP8(m), nil
}

// fromVP8 converts as libwebp does: chroma interpolated from the four nearest samples (upsampling.c, rounded in two
// steps), then ITU-R BT.601 with a range of 16 to 235 (yuv.h).
func fromVP8(m *image.YCbCr) *RGB {
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	cw, ch := (p.Width+1)/2, (p.Height+1)/2
	for y := range p.Height {
		near := y / 2 * m.CStride
		far := min(max(y/2-1+2*(y%2), 0), ch-1) * m.CStride
		row := p.row(y)
		for x, luma := range m.Y[y*m.YStride : y*m.YStride+p.Width] {
			nx, fx := x/2, min(max(x/2-1+2*(x%2), 0), cw-1)
			mix := func(c []uint8) int {
				nn, nf, fn, ff := int(c[near+nx]), int(c[near+fx]), int(c[far+nx]), int(c[far+fx])
				return ((nn+3*nf+3*fn+ff+8)>>3 + nn) >> 1
			}
			l, u, v := int(luma)*19077>>8, mix(m.Cb), mix(m.Cr)
			const fraction = 6
			row[3*x] = clamp(int32(l+v*26149>>8-14234) >> fraction)
			row[3*x+1] = clamp(int32(l-u*6419>>8-v*13320>>8+8708) >> fraction)
			row[3*x+2] = clamp(int32(l+u*33050>>8-17685) >> fraction)
		}
	}
	return p
}
