package picture

import (
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// decodeGIF decodes the first frame as Pillow shows it, which image/gif cannot: the colour behind a transparent pixel is
// kept, what the frame leaves free has the transparent colour (or the first), and a frame may reach over the screen.
// Later frames are not looked at, so a long animation costs no more than its first picture.
func decodeGIF(data []byte, most limit) (*RGB, error) {
	in := &cursor{data: data}
	screen := in.next(13)
	w, h := int(binary.LittleEndian.Uint16(screen[6:])), int(binary.LittleEndian.Uint16(screen[8:]))
	palette := grey()
	palette.read(in, screen[10])
	background := uint8(0)
	for {
		switch b := in.next(1)[0]; {
		case in.short:
			return nil, io.ErrUnexpectedEOF
		case b == '!':
			graphicControl := in.next(1)[0] == 0xf9
			block := in.next(int(in.next(1)[0]))
			if graphicControl && len(block) >= 4 && block[0]&1 != 0 {
				background = block[3]
			}
			for len(block) > 0 {
				block = in.next(int(in.next(1)[0]))
			}
		case b == ',':
			return gifFrame(in, w, h, palette, background, most)
		case b == ';':
			return nil, errors.New("it holds no frame")
		default:
			return nil, fmt.Errorf("a block of unknown kind 0x%02x at byte %d", b, len(data)-len(in.data)-1)
		}
	}
}

// gifFrame decodes the frame whose descriptor is next onto a screen of w × h.
func gifFrame(in *cursor, w, h int, palette gifPalette, background uint8, most limit) (*RGB, error) {
	const interlaced = 0x40
	d := in.next(9)
	left, top := int(binary.LittleEndian.Uint16(d)), int(binary.LittleEndian.Uint16(d[2:]))
	fw, fh := int(binary.LittleEndian.Uint16(d[4:])), int(binary.LittleEndian.Uint16(d[6:]))
	palette.read(in, d[8])
	litWidth := int(in.next(1)[0])
	if in.short {
		return nil, io.ErrUnexpectedEOF
	}
	if litWidth < 2 || litWidth > 8 {
		return nil, fmt.Errorf("its codes start with %d bits, not 2 to 8", litWidth)
	}
	if fw == 0 || fh == 0 {
		return nil, fmt.Errorf("its first frame is %d×%d pixels", fw, fh)
	}
	w, h = max(w, left+fw), max(h, top+fh)
	if err := most.check(w, h); err != nil {
		return nil, err
	}
	p := newRGB(w, h)
	if fw < w || fh < h {
		for i := 0; i < len(p.Pix); i += 3 {
			copy(p.Pix[i:i+3], palette[background][:])
		}
	}
	pixels := lzw.NewReader(&subBlocks{in: in}, lzw.LSB, litWidth)
	defer pixels.Close()
	line := make([]uint8, fw)
	passes := [][2]int{{0, 1}} // first row, step
	if d[8]&interlaced != 0 {
		passes = [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	for _, pass := range passes {
		for y := pass[0]; y < fh; y += pass[1] {
			if _, err := io.ReadFull(pixels, line); err != nil {
				return nil, fmt.Errorf("row %d of %d: %w", y, fh, err)
			}
			row := p.row(top + y)[3*left:]
			for x, v := range line {
				copy(row[3*x:3*x+3], palette[v][:])
			}
		}
	}
	return p, nil
}

// gifPalette maps an index to its colour. Indexes that a file gives no colour are grey levels, as Pillow has it.
type gifPalette [256][3]uint8

func grey() (p gifPalette) {
	for i := range p {
		p[i] = [3]uint8{uint8(i), uint8(i), uint8(i)}
	}
	return p
}

// read replaces the palette by the colour table that flags announce, if they do.
func (p *gifPalette) read(in *cursor, flags byte) {
	if flags&0x80 == 0 {
		return
	}
	n := 2 << (flags & 7)
	*p = grey()
	table := in.next(3 * n)
	for i := range n {
		copy(p[i][:], table[3*i:])
	}
}

// cursor walks over data. Past its end it yields zeros and remembers that it fell short.
type cursor struct {
	data  []byte
	short bool
}

func (c *cursor) next(n int) []byte {
	if n > len(c.data) {
		c.data, c.short = nil, true
		return make([]byte, n) // at most a colour table
	}
	b := c.data[:n]
	c.data = c.data[n:]
	return b
}

// subBlocks reads the bytes of a chain of length-prefixed blocks up to the empty one.
type subBlocks struct {
	in    *cursor
	block []byte
}

func (s *subBlocks) Read(b []byte) (int, error) {
	if len(s.block) == 0 {
		s.block = s.in.next(int(s.in.next(1)[0]))
		if s.in.short {
			return 0, io.ErrUnexpectedEOF
		}
		if len(s.block) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(b, s.block)
	s.block = s.block[n:]
	return n, nil
}
