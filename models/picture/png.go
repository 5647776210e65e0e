package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
)

// decodePNG reads all colour types and depths, interlaced or not; of an animated PNG the picture that plain readers show.
func decodePNG(data []byte, most limit) (*RGB, error) {
	const header = 33 // bytes up to the end of the header chunk
	if len(data) < header {
		return nil, io.ErrUnexpectedEOF
	}
	switch first := string(data[12:16]); first {
	case "IHDR":
	case "CgBI":
		return nil, fmt.Errorf("%w: this is Apple's CgBI variant of PNG; %s", ErrUnsupported, supported)
	default:
		return nil, fmt.Errorf("its first chunk is %q, not the header", first)
	}
	w, h := int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:]))
	depth, colorType := data[24], data[25]
	if err := most.check(w, h); err != nil {
		return nil, err
	}
	// A pixel takes at least one sample, and deflate makes at most 1032 bytes of one.
	if err := checkBytes(w, h, int64(w)*int64(h)*int64(depth)/(8*1032), data); err != nil {
		return nil, err
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		var unsupported png.UnsupportedError
		if errors.As(err, &unsupported) {
			return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return nil, err
	}
	const plainGrey = 0
	var p *RGB
	switch m := img.(type) {
	case *image.Gray:
		p = fromGray(m)
	case *image.RGBA:
		p = fromRGBA(m.Rect, m.Pix, m.Stride)
	case *image.NRGBA:
		p = fromRGBA(m.Rect, m.Pix, m.Stride)
	case *image.Paletted:
		p = fromPaletted(m)
	case *image.Gray16:
		p = from16(m.Rect, m.Pix, m.Stride, 1, true)
	case *image.RGBA64:
		p = from16(m.Rect, m.Pix, m.Stride, 4, false)
	case *image.NRGBA64:
		p = from16(m.Rect, m.Pix, m.Stride, 4, colorType == plainGrey)
	default:
		return nil, fmt.Errorf("%w: PNG with the colour model of %T", ErrUnsupported, img)
	}
	return upright(p, pngOrientation(data)), nil
}

func fromGray(m *image.Gray) *RGB {
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	for y := range p.Height {
		grayRow(p.row(y), [][]uint8{m.Pix[y*m.Stride:]})
	}
	return p
}

// fromRGBA drops the fourth byte of each pixel.
func fromRGBA(r image.Rectangle, pix []uint8, stride int) *RGB {
	p := newRGB(r.Dx(), r.Dy())
	for y := range p.Height {
		row, src := p.row(y), pix[y*stride:]
		for x := range p.Width {
			copy(row[3*x:3*x+3], src[4*x:4*x+3])
		}
	}
	return p
}

func fromPaletted(m *image.Paletted) *RGB {
	var table [256][3]uint8
	for i, c := range m.Palette {
		switch c := c.(type) {
		case color.RGBA: // the decoders of this package use it for opaque entries only
			table[i] = [3]uint8{c.R, c.G, c.B}
		case color.NRGBA:
			table[i] = [3]uint8{c.R, c.G, c.B}
		}
	}
	p := newRGB(m.Rect.Dx(), m.Rect.Dy())
	for y := range p.Height {
		row := p.row(y)
		for x, v := range m.Pix[y*m.Stride : y*m.Stride+p.Width] {
			copy(row[3*x:3*x+3], table[v][:])
		}
	}
	return p
}

// from16 brings samples of 16 bits, channels of them a pixel, to 8. Pillow keeps the upper byte, but of plain grey,
// its mode I;16, it cuts off what is over 255; the reference does too.
func from16(r image.Rectangle, pix []uint8, stride, channels int, cut bool) *RGB {
	p := newRGB(r.Dx(), r.Dy())
	for y := range p.Height {
		row, src := p.row(y), pix[y*stride:]
		for x := range p.Width {
			for c := range 3 {
				s := src[2*(channels*x+c%channels):]
				v := s[0]
				if cut {
					v = s[1]
					if s[0] > 0 {
						v = 255
					}
				}
				row[3*x+c] = v
			}
		}
	}
	return p
}

// pngOrientation finds the eXIf chunk, which may come before or after the pixels.
func pngOrientation(data []byte) int {
	for data = data[8:]; len(data) >= 12; {
		n := uint64(binary.BigEndian.Uint32(data))
		if n+12 > uint64(len(data)) {
			break
		}
		if string(data[4:8]) == "eXIf" {
			return exifOrientation(data[8 : 8+n])
		}
		data = data[12+n:]
	}
	return 1
}
