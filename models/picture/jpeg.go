package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A JPEG is decoded here and not by image/jpeg because pixel values shall be the reference's: image/jpeg repeats chroma
// samples where libjpeg-turbo interpolates (up to 113 levels apart on a photo) and its inverse cosine transform rounds
// otherwise (a mean of up to 0.07 levels). Baseline, extended and progressive Huffman files of 8 bits are read, with any
// whole sampling factors and 1, 3 or 4 components; the order is: all coefficients (jpegscan.go), then samples (idct.go),
// then pixels (jpegcolor.go).

// jpegDecoder is the state of one decode.
type jpegDecoder struct {
	data []byte
	most limit
	pos  int

	width, height int
	maxH, maxV    int // the largest sampling factors
	progressive   bool
	components    []*jpegComponent // nil before the frame header
	quant         [4]*[64]uint16   // in natural order
	dc, ac        [4]*jpegHuffman
	restart       int // MCUs between restart markers; 0 for none
	scans         int

	orientation int
	seenEXIF    bool
	jfif        bool
	adobe       int // colour transform of the Adobe marker; -1 without one
}

// jpegComponent is one colour plane.
type jpegComponent struct {
	id, table        byte // of the frame header: name and quantisation table
	h, v             int  // sampling factors
	width, height    int  // samples that count
	blocksX, blocksY int  // blocks stored, whole MCUs
	coefficients     [][64]int16
	quant            *[64]uint16 // as it was when the component's first scan came
	samples          []uint8     // rows of 8·blocksX
}

func decodeJPEG(data []byte, most limit) (*RGB, error) {
	d := &jpegDecoder{data: data, most: most, pos: 2, orientation: 1, adobe: -1}
	for {
		at := d.pos
		marker, body, err := d.segment()
		if err == nil && marker == 0xd9 {
			break
		}
		if err == nil {
			err = d.handle(marker, body)
		}
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", at, err)
		}
	}
	if d.components == nil {
		return nil, errors.New("it has no frame header")
	}
	for _, c := range d.components {
		if c.quant == nil {
			return nil, fmt.Errorf("component %d has no scan", c.id)
		}
		c.transform()
	}
	return upright(d.rgb(), d.orientation), nil
}

// segment returns the next marker and what follows it. Bytes between segments are skipped, as libjpeg does.
func (d *jpegDecoder) segment() (marker byte, body []byte, err error) {
	for ; d.pos+1 < len(d.data); d.pos++ {
		marker = d.data[d.pos+1]
		if d.data[d.pos] != 0xff || marker == 0 || marker == 0xff {
			continue
		}
		d.pos += 2
		if marker == 0x01 || marker >= 0xd0 && marker <= 0xd9 {
			return marker, nil, nil // stands alone
		}
		rest := d.data[d.pos:]
		if len(rest) < 2 {
			break
		}
		n := int(binary.BigEndian.Uint16(rest))
		if n < 2 || n > len(rest) {
			break
		}
		d.pos += n
		return marker, rest[2:n], nil
	}
	return 0, nil, io.ErrUnexpectedEOF
}

func (d *jpegDecoder) handle(marker byte, body []byte) error {
	switch {
	case marker == 0xd8:
		return errors.New("a second start of image")
	case marker == 0xc4:
		return d.huffmanTables(body)
	case marker >= 0xc9 && marker <= 0xcf:
		return unsupportedJPEG("arithmetic-coded")
	case marker == 0xc3:
		return unsupportedJPEG("lossless")
	case marker >= 0xc5 && marker <= 0xc7:
		return unsupportedJPEG("hierarchical")
	case marker >= 0xc0 && marker <= 0xc2:
		d.progressive = marker == 0xc2
		return d.frame(body)
	case marker == 0xda:
		return d.scan(body)
	case marker == 0xdb:
		return d.quantTables(body)
	case marker == 0xdd:
		if len(body) != 2 {
			return errors.New("a restart interval of another length than 2 bytes")
		}
		d.restart = int(binary.BigEndian.Uint16(body))
	case marker == 0xe0:
		d.jfif = d.jfif || len(body) >= 12 && bytes.HasPrefix(body, []byte("JFIF\x00"))
	case marker == 0xe1:
		if block, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && !d.seenEXIF {
			d.orientation, d.seenEXIF = exifOrientation(block), true
		}
	case marker == 0xee:
		if len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")) {
			d.adobe = int(body[11])
		}
	}
	return nil
}

func unsupportedJPEG(kind string) error {
	return fmt.Errorf("%w: %s JPEG; save it as 8-bit baseline or progressive JPEG, or as PNG", ErrUnsupported, kind)
}

// frame reads a frame header: size and components.
func (d *jpegDecoder) frame(body []byte) error {
	if d.components != nil {
		return errors.New("a second frame header")
	}
	if len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return errors.New("a frame header of the wrong length")
	}
	if body[0] != 8 {
		return unsupportedJPEG(fmt.Sprintf("%d-bit", body[0]))
	}
	d.height, d.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if d.height == 0 {
		return unsupportedJPEG("(with the height after the first scan)")
	}
	if err := d.most.check(d.width, d.height); err != nil {
		return err
	}
	if n := body[5]; n != 1 && n != 3 && n != 4 {
		return unsupportedJPEG(fmt.Sprintf("%d-component", n))
	}
	var components []*jpegComponent
	for b := body[6:]; len(b) > 0; b = b[3:] {
		c := &jpegComponent{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 15), table: b[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return fmt.Errorf("component %d has sampling factors %d×%d and quantisation table %d", c.id, c.h, c.v, c.table)
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		components = append(components, c)
	}
	mcusX, mcusY := ceilDiv(d.width, 8*d.maxH), ceilDiv(d.height, 8*d.maxV)
	bits := int64(0)
	for _, c := range components {
		if d.maxH%c.h != 0 || d.maxV%c.v != 0 {
			return unsupportedJPEG(fmt.Sprintf("(with sampling factors %d×%d beside %d×%d)", c.h, c.v, d.maxH, d.maxV))
		}
		c.width, c.height = ceilDiv(d.width*c.h, d.maxH), ceilDiv(d.height*c.v, d.maxV)
		c.blocksX, c.blocksY = mcusX*c.h, mcusY*c.v
		bits += int64(ceilDiv(c.width, 8)) * int64(ceilDiv(c.height, 8)) // a block takes at least one, for its DC
	}
	if err := checkBytes(d.width, d.height, bits/8, d.data); err != nil {
		return err
	}
	for _, c := range components {
		c.coefficients = make([][64]int16, c.blocksX*c.blocksY)
	}
	d.components = components
	return nil
}

// zigzag maps the order of coefficients in a file to the natural one, row by row.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

func (d *jpegDecoder) quantTables(body []byte) error {
	for len(body) > 0 {
		size, id := 1+int(body[0]>>4), body[0]&15
		if size > 2 || id > 3 || len(body) < 1+64*size {
			return errors.New("a broken quantisation table")
		}
		table := new([64]uint16)
		for i, at := range zigzag {
			if size == 1 {
				table[at] = uint16(body[1+i])
			} else {
				table[at] = binary.BigEndian.Uint16(body[1+2*i:])
			}
		}
		d.quant[id] = table
		body = body[1+64*size:]
	}
	return nil
}

func (d *jpegDecoder) huffmanTables(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return errors.New("a broken Huffman table")
		}
		class, id := body[0]>>4, body[0]&15
		table, size, err := newJPEGHuffman(body[1:])
		if err != nil {
			return err
		}
		switch {
		case id > 3 || class > 1:
			return errors.New("a Huffman table of unknown kind")
		case class == 0:
			d.dc[id] = table
		default:
			d.ac[id] = table
		}
		body = body[1+size:]
	}
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
