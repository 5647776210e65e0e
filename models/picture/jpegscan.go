package picture

import (
	"errors"
	"fmt"
	"io"
)

// maxScans bounds the scans of a file, each of which may visit all blocks for a few bytes. Encoders write about ten.
const maxScans = 100

// jpegScan decodes the entropy-coded data of one scan into coefficients (ITU-T T.81, annexes F and G).
type jpegScan struct {
	bits       jpegBits
	components []scanComponent
	// The scan's part of the spectrum, start to end, and of the bits: low is their place, high tells a refinement.
	start, end int
	high, low  int
	zeroBlocks int // blocks still to come without a new coefficient
	decode     func(c *scanComponent, b *[64]int16)
}

type scanComponent struct {
	*jpegComponent
	dc, ac *jpegHuffman
	last   int32 // DC of the block before
}

// scan reads a scan header and the data after it.
func (d *jpegDecoder) scan(body []byte) error {
	s, err := d.newScan(body)
	if err != nil {
		return err
	}
	if d.scans++; d.scans > maxScans {
		return fmt.Errorf("%w: more than %d scans", ErrLimit, maxScans)
	}
	// The data of a single component comes block by block, without the blocks that only fill up MCUs.
	mcusX, mcusY := ceilDiv(d.width, 8*d.maxH), ceilDiv(d.height, 8*d.maxV)
	h, v := func(c *scanComponent) int { return c.h }, func(c *scanComponent) int { return c.v }
	if len(s.components) == 1 {
		c := s.components[0]
		mcusX, mcusY = ceilDiv(c.width, 8), ceilDiv(c.height, 8)
		one := func(*scanComponent) int { return 1 }
		h, v = one, one
	}
	for i := range mcusX * mcusY {
		if d.restart > 0 && i > 0 && i%d.restart == 0 {
			if err := s.restart(i/d.restart - 1); err != nil {
				return err
			}
		}
		mx, my := i%mcusX, i/mcusX
		for j := range s.components {
			c := &s.components[j]
			for y := range v(c) {
				row := (my*v(c) + y) * c.blocksX
				for x := range h(c) {
					s.decode(c, &c.coefficients[row+mx*h(c)+x])
				}
			}
		}
		if s.bits.short {
			return fmt.Errorf("block %d of %d: %w", i, mcusX*mcusY, io.ErrUnexpectedEOF)
		}
	}
	d.pos = s.bits.pos
	return nil
}

// newScan checks a scan header against the frame and the tables.
func (d *jpegDecoder) newScan(body []byte) (*jpegScan, error) {
	if d.components == nil {
		return nil, errors.New("a scan before the frame header")
	}
	if len(body) < 1 || len(body) != 4+2*int(body[0]) || len(body) == 4 {
		return nil, errors.New("a scan header of the wrong length")
	}
	n := len(body) - 3
	s := &jpegScan{
		bits:  jpegBits{data: d.data, pos: d.pos},
		start: int(body[n]), end: int(body[n+1]), high: int(body[n+2] >> 4), low: int(body[n+2] & 15),
	}
	if !d.progressive {
		s.start, s.end, s.high, s.low = 0, 63, 0, 0 // libjpeg takes no notice of other values either
	}
	if s.start > s.end || s.end > 63 || s.start == 0 && s.end > 0 && d.progressive || s.start > 0 && n > 3 ||
		s.high > 0 && s.low != s.high-1 || s.low > 13 {
		return nil, fmt.Errorf("a scan of coefficients %d to %d, bits %d to %d, of %d components", s.start, s.end, s.high, s.low, n/2)
	}
	for b := body[1:n]; len(b) > 0; b = b[2:] {
		c, err := d.scanComponent(s, b[0], b[1]>>4, b[1]&15)
		if err != nil {
			return nil, err
		}
		s.components = append(s.components, c)
	}
	switch {
	case !d.progressive:
		s.decode = s.baseline
	case s.start == 0 && s.high == 0:
		s.decode = s.firstDC
	case s.start == 0:
		s.decode = s.refineDC
	case s.high == 0:
		s.decode = s.firstAC
	default:
		s.decode = s.refineAC
	}
	return s, nil
}

// scanComponent finds a component that a scan header names, with its tables.
func (d *jpegDecoder) scanComponent(s *jpegScan, id, dc, ac byte) (found scanComponent, err error) {
	for _, c := range s.components {
		if c.id == id {
			return found, fmt.Errorf("component %d comes twice in a scan", id)
		}
	}
	for _, c := range d.components {
		if c.id == id {
			found.jpegComponent = c
			break
		}
	}
	if found.jpegComponent == nil || dc > 3 || ac > 3 {
		return found, fmt.Errorf("a scan of component %d with tables %d and %d", id, dc, ac)
	}
	found.dc, found.ac = d.dc[dc], d.ac[ac]
	if s.start == 0 && s.high == 0 && found.dc == nil || s.end > 0 && found.ac == nil {
		return found, fmt.Errorf("component %d: its Huffman table is missing", id)
	}
	if found.quant == nil {
		if found.quant = d.quant[found.table]; found.quant == nil {
			return found, fmt.Errorf("component %d: its quantisation table is missing", id)
		}
	}
	return found, nil
}

// restart passes restart marker number i, counted from 0, and forgets what was before it.
func (s *jpegScan) restart(i int) error {
	b := &s.bits
	for b.pos+1 < len(b.data) && b.data[b.pos+1] == 0xff {
		b.pos++ // fill bytes
	}
	if b.pos+1 >= len(b.data) || b.data[b.pos] != 0xff || b.data[b.pos+1] != 0xd0+byte(i%8) {
		return fmt.Errorf("no restart marker %d at byte %d", i%8, b.pos)
	}
	*b = jpegBits{data: b.data, pos: b.pos + 2}
	s.zeroBlocks = 0
	for j := range s.components {
		s.components[j].last = 0
	}
	return nil
}

func (s *jpegScan) baseline(c *scanComponent, b *[64]int16) {
	s.firstDC(c, b)
	for k := 1; k < 64; k++ {
		v := s.bits.symbol(c.ac)
		skip, size := int(v>>4), int(v&15)
		if size == 0 {
			if skip != 15 {
				return
			}
			k += 15
			continue
		}
		k += skip
		value := s.bits.signed(size)
		if k < 64 { // past the end only in broken files
			b[zigzag[k]] = int16(value)
		}
	}
}

func (s *jpegScan) firstDC(c *scanComponent, b *[64]int16) {
	if size := int(s.bits.symbol(c.dc) & 15); size > 0 {
		c.last += s.bits.signed(size)
	}
	b[0] = int16(c.last << s.low)
}

func (s *jpegScan) refineDC(_ *scanComponent, b *[64]int16) {
	b[0] |= int16(s.bits.bits(1) << s.low)
}

func (s *jpegScan) firstAC(c *scanComponent, b *[64]int16) {
	if s.zeroBlocks > 0 {
		s.zeroBlocks--
		return
	}
	for k := s.start; k <= s.end; k++ {
		v := s.bits.symbol(c.ac)
		skip, size := int(v>>4), int(v&15)
		if size == 0 {
			if skip != 15 {
				s.zeroBlocks = s.run(skip) - 1
				return
			}
			k += 15
			continue
		}
		k += skip
		value := s.bits.signed(size)
		if k <= s.end {
			b[zigzag[k]] = int16(value << s.low)
		}
	}
}

// run reads the number of blocks, this one included, that have no new coefficient from here on.
func (s *jpegScan) run(size int) int {
	n := 1 << size
	if size > 0 {
		n += int(s.bits.bits(size))
	}
	return n
}

// refineAC adds one bit to the coefficients that are not zero, and new coefficients of the size of that bit.
func (s *jpegScan) refineAC(c *scanComponent, b *[64]int16) {
	k := s.start
	if s.zeroBlocks == 0 {
		for ; k <= s.end; k++ {
			v := s.bits.symbol(c.ac)
			skip, size := int(v>>4), v&15
			var value int16
			if size != 0 {
				value = -1 << s.low
				if s.bits.bits(1) == 1 {
					value = 1 << s.low
				}
			} else if skip != 15 {
				s.zeroBlocks = s.run(skip)
				break
			}
			k = s.refine(b, k, skip)
			if value != 0 && k <= s.end {
				b[zigzag[k]] = value
			}
		}
	}
	if s.zeroBlocks > 0 {
		s.refine(b, k, 64)
		s.zeroBlocks--
	}
}

// refine adds one bit to each coefficient from k on that is not zero, until it has passed over skip zeros and stands at
// another, whose index it returns.
func (s *jpegScan) refine(b *[64]int16, k, skip int) int {
	bit := int16(1) << s.low
	for ; k <= s.end; k++ {
		v := &b[zigzag[k]]
		if *v == 0 {
			if skip == 0 {
				break
			}
			skip--
			continue
		}
		if s.bits.bits(1) == 0 || *v&bit != 0 {
			continue
		}
		if *v > 0 {
			*v += bit
		} else {
			*v -= bit
		}
	}
	return k
}
