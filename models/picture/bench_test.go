package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"
)

// photo is a smooth drawn picture with some grain, about as hard to decode as a photo.
func photo(w, h int) *RGB {
	p := newRGB(w, h)
	seed := uint32(1)
	for y := range h {
		row := p.row(y)
		for x := range w {
			seed = seed*1664525 + 1013904223
			grain := float64(seed>>24) / 16
			row[3*x] = uint8(120 + 100*math.Sin(float64(x)/37) + grain)
			row[3*x+1] = uint8(120 + 100*math.Cos(float64(y)/23) + grain)
			row[3*x+2] = uint8(120 + 100*math.Sin(float64(x+y)/51) + grain)
		}
	}
	return p
}

// encodeJPEG writes p with 4:2:0 chroma.
func encodeJPEG(tb testing.TB, p *RGB) []byte {
	tb.Helper()
	m := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for y := range p.Height {
		for x := range p.Width {
			s := p.row(y)[3*x:]
			m.SetRGBA(x, y, color.RGBA{s[0], s[1], s[2], 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkDecodeJPEG(b *testing.B) {
	data := encodeJPEG(b, photo(1242, 881))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode("photo.jpg", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResize(b *testing.B) {
	p := photo(1242, 881)
	b.ReportAllocs()
	for b.Loop() {
		Resize(p, 1232, 868)
	}
}

// BenchmarkProcess includes a resize.
func BenchmarkProcess(b *testing.B) {
	p := photo(1242, 881)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Process(Qwen(), p); err != nil {
			b.Fatal(err)
		}
	}
}
