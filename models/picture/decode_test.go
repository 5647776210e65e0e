package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDecodePillow compares with what Pillow reads from the files that testdata/pillow.py wrote.
func TestDecodePillow(t *testing.T) {
	wants, err := filepath.Glob("testdata/pillow/*.ppm")
	if err != nil || len(wants) < 100 {
		t.Fatalf("%d reference pictures: %v", len(wants), err)
	}
	for _, want := range wants {
		file := strings.TrimSuffix(want, ".ppm")
		t.Run(filepath.Base(file), func(t *testing.T) {
			got, err := Open(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != file {
				t.Errorf("name %q, want %q", got.Name, file)
			}
			samePicture(t, got, readPPM(t, want))
		})
	}
}

func samePicture(t *testing.T, got, want *RGB) {
	t.Helper()
	if got.Width != want.Width || got.Height != want.Height {
		t.Fatalf("%d×%d pixels, want %d×%d", got.Width, got.Height, want.Width, want.Height)
	}
	wrong := 0
	for i, v := range got.Pix {
		if v != want.Pix[i] {
			if wrong == 0 {
				t.Errorf("pixel (%d, %d), channel %d: %d, want %d", i/3%got.Width, i/3/got.Width, i%3, v, want.Pix[i])
			}
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d bytes differ", wrong, len(got.Pix))
	}
}

func readPPM(t *testing.T, path string) *RGB {
	t.Helper()
	data := readFile(t, path)
	var w, h int
	header, pixels, _ := bytes.Cut(data, []byte("\n"))
	if _, err := fmt.Sscanf(string(header), "P6 %d %d 255", &w, &h); err != nil || len(pixels) != 3*w*h {
		t.Fatalf("%s: %v, %d bytes", path, err, len(pixels))
	}
	return &RGB{Width: w, Height: h, Pix: pixels}
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// smallFiles returns the pictures in testdata of at most limit bytes.
func smallFiles(tb testing.TB, limit int) map[string][]byte {
	tb.Helper()
	files := map[string][]byte{}
	for _, dir := range []string{"testdata/pillow", "testdata/preprocess"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); ext == ".ppm" || ext == ".jsonl" {
				continue
			}
			if data := readFile(tb, filepath.Join(dir, e.Name())); len(data) <= limit {
				files[e.Name()] = data
			}
		}
	}
	if len(files) < 50 {
		tb.Fatalf("only %d small pictures", len(files))
	}
	return files
}

// checkDecode decodes any bytes and checks what Decode promises.
func checkDecode(t *testing.T, name string, data []byte) error {
	t.Helper()
	p, err := Decode(name, data)
	if err != nil {
		if p != nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%v: %q does not start with the name %q", p, err, name)
		}
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrLimit) {
			t.Errorf("%q wraps none of the package's errors", err)
		}
		return err
	}
	if p.Width < 1 || p.Height < 1 || p.Width*p.Height > maxPixels || len(p.Pix) != 3*p.Width*p.Height {
		t.Errorf("%s: %d×%d pixels in %d bytes", name, p.Width, p.Height, len(p.Pix))
	}
	return nil
}

// TestDecodeTruncated cuts small files at every byte: before their pixels end that is an error, and never a panic.
func TestDecodeTruncated(t *testing.T) {
	for name, data := range smallFiles(t, 3000) {
		for n := range len(data) {
			if err := checkDecode(t, name, data[:n]); err == nil && n < len(data)/2 {
				t.Errorf("%s: %d of %d bytes make a picture", name, n, len(data))
			}
		}
	}
}

// TestDecodeDamaged changes single bytes.
func TestDecodeDamaged(t *testing.T) {
	for name, data := range smallFiles(t, 800) {
		for i := range data {
			for _, bit := range []byte{0x01, 0x80, 0xff} {
				data[i] ^= bit
				_ = checkDecode(t, name, data) // either is right: it checks which
				data[i] ^= bit
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	jpg := readFile(t, "testdata/pillow/jpeg_444.jpg")
	frame := bytes.Index(jpg, []byte{0xff, 0xc0})
	marked := func(marker byte) []byte {
		b := bytes.Clone(jpg)
		b[frame+1] = marker
		return b
	}
	deep := bytes.Clone(jpg)
	deep[frame+4] = 12
	progressive := readFile(t, "testdata/pillow/jpeg_gray_progressive.jpg")
	scan := progressive[bytes.Index(progressive, []byte{0xff, 0xda}):]
	scan = scan[:bytes.Index(scan[2:], []byte{0xff, 0xc4})+2]
	manyScans := append(progressive[:len(progressive)-2:len(progressive)-2], bytes.Repeat(scan, maxScans)...)
	bmp16 := bytes.Clone(readFile(t, "testdata/pillow/bmp_24.bmp"))
	bmp16[28] = 16
	cgbi := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x04CgBI\x50\x00\x20\x02\x2b\xd5\xb3\x7f"), pngHeader(1, 1, 8, 6)[8:]...)
	for _, c := range []struct {
		name string
		data []byte
		want error
		text string
	}{
		{"empty.png", nil, ErrMalformed, "the file is empty"},
		{"zeros.png", make([]byte, 100), ErrMalformed, "no picture format"},
		{"text.jpg", []byte("hello"), ErrMalformed, `it starts with "hello"`},
		{"page.jpg", []byte("<!DOCTYPE html><html>"), ErrUnsupported, "HTML"},
		{"a.svg", []byte("<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), ErrUnsupported, "SVG; supported are JPEG, PNG, WebP, BMP and GIF"},
		{"a.heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), ErrUnsupported, "HEIC"},
		{"a.avif", []byte("\x00\x00\x00\x18ftypavif\x00\x00\x00\x00"), ErrUnsupported, "AVIF"},
		{"a.mp4", []byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00"), ErrUnsupported, "video"},
		{"a.tif", []byte("II*\x00\x08\x00\x00\x00"), ErrUnsupported, "TIFF"},
		{"a.jxl", []byte("\xff\x0a\x00\x00"), ErrUnsupported, "JPEG XL"},
		{"cgbi.png", cgbi, ErrUnsupported, "CgBI"},
		{"arithmetic.jpg", marked(0xc9), ErrUnsupported, "arithmetic"},
		{"lossless.jpg", marked(0xc3), ErrUnsupported, "lossless"},
		{"hierarchical.jpg", marked(0xc5), ErrUnsupported, "hierarchical"},
		{"deep.jpg", deep, ErrUnsupported, "12-bit"},
		{"scans.jpg", manyScans, ErrLimit, "scans"},
		{"16.bmp", bmp16, ErrUnsupported, "16-bit"},
		{"signature.jpg", []byte("\xff\xd8\xff"), ErrMalformed, "broken JPEG"},
		{"signature.png", []byte("\x89PNG\r\n\x1a\n"), ErrMalformed, "broken PNG"},
		{"large.png", make([]byte, maxBytes+1), ErrLimit, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := checkDecode(t, c.name, c.data)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v with %q", err, c.want, c.text)
			}
		})
	}
	if _, err := Open("testdata/none.png"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.png") {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open("testdata"); err == nil || !strings.Contains(err.Error(), "testdata") {
		t.Errorf("a folder: %v", err)
	}
}

// TestDecodeBombs gives headers that promise far more than the file holds: they are refused at little cost.
func TestDecodeBombs(t *testing.T) {
	sized := func(file string, at int, order binary.AppendByteOrder, h, w uint16) []byte {
		b := bytes.Clone(readFile(t, file))
		copy(b[at:], order.AppendUint16(order.AppendUint16(nil, h), w))
		return b
	}
	jpg := bytes.Index(readFile(t, "testdata/pillow/jpeg_420.jpg"), []byte{0xff, 0xc0}) + 5
	prog := bytes.Index(readFile(t, "testdata/pillow/jpeg_420_progressive.jpg"), []byte{0xff, 0xc2}) + 5
	const gif = "GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08\x02\x00\x01\x00;       "
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"34 bytes.gif", []byte(gif)[:34], ErrLimit},
		{"frame.gif", append([]byte(gif[:6]), "\x01\x00\x01\x00"+gif[10:]...), ErrLimit},
		{"100000.png", pngHeader(100_000, 100_000, 8, 2), ErrLimit},
		{"2^31.png", pngHeader(1<<31-1, 1<<31-1, 1, 0), ErrLimit},
		{"just allowed.png", pngHeader(13_000, 13_000, 16, 6), ErrMalformed},
		{"65535.jpg", sized("testdata/pillow/jpeg_420.jpg", jpg, binary.BigEndian, 65535, 65535), ErrLimit},
		{"just allowed.jpg", sized("testdata/pillow/jpeg_420.jpg", jpg, binary.BigEndian, 13_000, 13_000), ErrMalformed},
		{"progressive.jpg", sized("testdata/pillow/jpeg_420_progressive.jpg", prog, binary.BigEndian, 13_000, 13_000), ErrMalformed},
		{"16383.webp", sized("testdata/pillow/webp_lossy_45x37.webp", 26, binary.LittleEndian, 16383, 16383), ErrLimit},
		{"lossless.webp", sized("testdata/pillow/webp_lossless.webp", 21, binary.LittleEndian, 0xffff, 0x0fff), ErrLimit},
		{"wide.bmp", sized("testdata/pillow/bmp_24.bmp", 18, binary.LittleEndian, 0, 1), ErrMalformed}, // 65,536 wide
		{"huge.bmp", sized("testdata/pillow/bmp_24.bmp", 18, binary.LittleEndian, 0, 0x7fff), ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := checkDecode(t, c.name, c.data)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 4<<20 {
				t.Errorf("%d bytes of file cost %d bytes of memory", len(c.data), cost)
			}
		})
	}
}

// pngHeader is a PNG that ends after its header.
func pngHeader(w, h uint32, depth, color byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	head = append(binary.BigEndian.AppendUint32(head, h), depth, color, 0, 0, 0)
	data := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
	return binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(head))
}

// TestDecodeFirstFrameOnly has garbage after the first frame of an animation: it is never reached.
func TestDecodeFirstFrameOnly(t *testing.T) {
	data := readFile(t, "testdata/pillow/gif_animation.gif")
	want := readPPM(t, "testdata/pillow/gif_animation.gif.ppm")
	second := bytes.Index(data, []byte("!\xf9\x04"))
	second += 1 + bytes.Index(data[second+1:], []byte("!\xf9\x04"))
	got, err := Decode("a.gif", append(data[:second:second], bytes.Repeat([]byte{','}, 1000)...))
	if err != nil {
		t.Fatal(err)
	}
	samePicture(t, got, want)
}

func FuzzDecode(f *testing.F) {
	for _, data := range smallFiles(f, 20_000) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// A few bytes of lossless WebP can hold a plain picture of 170 million pixels: right, but too slow for here.
		if i := bytes.Index(data, []byte("VP8L")); i >= 0 && len(data) >= i+13 {
			if size := binary.LittleEndian.Uint32(data[i+9:]); (size&0x3fff)*(size>>14&0x3fff) > 1<<20 {
				return
			}
		}
		_ = checkDecode(t, "fuzz", data)
	})
}

// TestDecodeWithin: each format's header says how large its picture is, and that is
// enough to refuse it.
func TestDecodeWithin(t *testing.T) {
	seen := map[string]bool{}
	files, err := filepath.Glob("testdata/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Decode(file, data)
		if err != nil {
			continue
		}
		f, _ := sniff(data)
		seen[f.name] = true
		n := p.Width * p.Height
		if _, err := DecodeWithin(file, data, n); err != nil {
			t.Errorf("%s: %d pixels allowed: %v", file, n, err)
		}
		if _, err := DecodeWithin(file, data, n-1); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %d pixels allowed, one less than it has: %v", file, n-1, err)
		}
	}
	for _, f := range formats() {
		if f.decode != nil && !seen[f.name] {
			t.Errorf("no %s was tried", f.name)
		}
	}
}
