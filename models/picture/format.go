package picture

import "bytes"

// format is a kind of file that is told by its first bytes.
type format struct {
	name   string
	magic  string                                      // '?' stands for any byte
	decode func(data []byte, most limit) (*RGB, error) // nil: known by name only
}

const supported = "supported are JPEG, PNG, WebP, BMP and GIF"

// formats returns the known formats in the order in which they are tried.
func formats() []format {
	return []format{
		{"JPEG", "\xff\xd8\xff", decodeJPEG},
		{"PNG", "\x89PNG\r\n\x1a\n", decodePNG},
		{"GIF", "GIF87a", decodeGIF},
		{"GIF", "GIF89a", decodeGIF},
		{"WebP", "RIFF????WEBP", decodeWebP},
		{"BMP", "BM????????????", decodeBMP},
		{"HEIC", "????ftyphe", nil},
		{"HEIC", "????ftypmif1", nil},
		{"HEIC", "????ftypmsf1", nil},
		{"AVIF", "????ftypavi", nil},
		{"a video file (pass a folder of frames instead)", "????ftyp", nil},
		{"TIFF", "II*\x00", nil},
		{"TIFF", "MM\x00*", nil},
		{"JPEG XL", "\xff\x0a", nil},
		{"JPEG XL", "\x00\x00\x00\x0cJXL ", nil},
		{"JPEG 2000", "\x00\x00\x00\x0cjP  ", nil},
		{"JPEG 2000", "\xff\x4f\xff\x51", nil},
		{"a Photoshop file", "8BPS", nil},
		{"an icon file", "\x00\x00\x01\x00", nil},
		{"PDF", "%PDF", nil},
	}
}

// sniff tells the format of a file.
func sniff(data []byte) (format, bool) {
	for _, f := range formats() {
		if matches(data, f.magic) {
			return f, true
		}
	}
	text := bytes.TrimLeft(data[:min(len(data), 1024)], "\ufeff \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("<svg")):
		return format{name: "SVG"}, true
	case bytes.HasPrefix(text, []byte("<")):
		return format{name: "an HTML or XML text"}, true
	}
	return format{}, false
}

func matches(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i, m := range []byte(magic) {
		if m != '?' && m != data[i] {
			return false
		}
	}
	return true
}
