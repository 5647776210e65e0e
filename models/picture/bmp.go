package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/bmp"
)

func decodeBMP(data []byte, most limit) (*RGB, error) {
	c, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, explainBMP(err)
	}
	if err := most.check(c.Width, c.Height); err != nil {
		return nil, err
	}
	bits := int64(binary.LittleEndian.Uint16(data[28:])) // of a pixel
	if err := checkBytes(c.Width, c.Height, int64(c.Width)*int64(c.Height)*bits/8, data); err != nil {
		return nil, err
	}
	img, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, explainBMP(err)
	}
	switch m := img.(type) {
	case *image.Paletted:
		return fromPaletted(m), nil
	case *image.RGBA:
		return fromRGBA(m.Rect, m.Pix, m.Stride), nil
	case *image.NRGBA:
		return fromRGBA(m.Rect, m.Pix, m.Stride), nil
	}
	return nil, fmt.Errorf("%w: BMP with the colour model of %T", ErrUnsupported, img)
}

func explainBMP(err error) error {
	if errors.Is(err, bmp.ErrUnsupported) {
		return fmt.Errorf("%w: BMP with compression, 16-bit pixels or an unusual header; save it as 24-bit BMP or as PNG", ErrUnsupported)
	}
	return err
}
