package picture

import "encoding/binary"

// exifOrientation reads the orientation tag (274) from the first directory of an EXIF block, which is a TIFF header and
// its directories. It returns 1, upright, when there is none or the block is broken.
func exifOrientation(tiff []byte) int {
	const tag, short, long = 274, 3, 4
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 1
	}
	count, entries := int(order.Uint16(tiff[at:])), tiff[at+2:]
	for ; count > 0 && len(entries) >= 12; count, entries = count-1, entries[12:] {
		if order.Uint16(entries) != tag {
			continue
		}
		switch order.Uint16(entries[2:]) {
		case short:
			return int(order.Uint16(entries[8:]))
		case long:
			return int(order.Uint32(entries[8:]))
		}
	}
	return 1
}

// upright undoes an EXIF orientation, 2 to 8; with any other the picture stays as it is. See Pillow's exif_transpose.
func upright(p *RGB, orientation int) *RGB {
	if orientation < 2 || orientation > 8 {
		return p
	}
	w, h := p.Width, p.Height
	if orientation >= 5 {
		w, h = h, w
	}
	out := newRGB(w, h)
	// The source of pixel (x, y) of the result is at base + x·dx + y·dy, counted in pixels.
	stride, last := p.Width, p.Width*p.Height-1
	var base, dx, dy int
	switch orientation {
	case 2: // mirrored left to right
		base, dx, dy = stride-1, -1, stride
	case 3: // upside down
		base, dx, dy = last, -1, -stride
	case 4: // mirrored top to bottom
		base, dx, dy = last-stride+1, 1, -stride
	case 5: // transposed
		base, dx, dy = 0, stride, 1
	case 6: // to be turned right
		base, dx, dy = last-stride+1, -stride, 1
	case 7: // transposed along the other diagonal
		base, dx, dy = last, -stride, -1
	case 8: // to be turned left
		base, dx, dy = stride-1, stride, -1
	}
	for y := range h {
		row := out.row(y)
		for x := range w {
			s := 3 * (base + x*dx + y*dy)
			copy(row[3*x:3*x+3], p.Pix[s:s+3])
		}
	}
	return out
}
