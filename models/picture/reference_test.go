package picture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reference is a line of cases.jsonl: what transformers' fast Qwen2-VL image processor makes of a file.
type reference struct {
	File        string    `json:"file"`
	Size        [2]int    `json:"size"` // width, height
	MinPixels   int       `json:"min_pixels"`
	MaxPixels   int       `json:"max_pixels"`
	Grid        [3]int64  `json:"grid"`
	Rows        int       `json:"rows"`
	SHA256      string    `json:"sha256"` // of the float32 values
	SampleIndex []int     `json:"sample_index"`
	Sample      []float32 `json:"sample"`
}

func readCases(t testing.TB, path string) []reference {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []reference
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c reference
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no cases", path)
	}
	return cases
}

// check processes the case's file in dir and compares bit for bit.
func (c reference) check(t *testing.T, dir string) {
	t.Helper()
	img, err := Open(filepath.Join(dir, c.File))
	if err != nil {
		t.Fatal(err)
	}
	if got := [2]int{img.Width, img.Height}; got != c.Size {
		t.Errorf("size %v, want %v", got, c.Size)
	}
	cfg := Qwen()
	cfg.MinPixels, cfg.MaxPixels = c.MinPixels, c.MaxPixels
	values, grid, err := Process(cfg, img)
	if err != nil {
		t.Fatal(err)
	}
	if grid != c.Grid || len(values) != c.Rows*1176 {
		t.Fatalf("grid %v with %d values, want %v with %d rows of 1176", grid, len(values), c.Grid, c.Rows)
	}
	for i, at := range c.SampleIndex { // shows, unlike the checksum, what is off
		if values[at] != c.Sample[i] {
			t.Errorf("value %d is %v, want %v", at, values[at], c.Sample[i])
		}
	}
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != c.SHA256 {
		t.Errorf("sha256 of the values is %s, want %s", got, c.SHA256)
	}
}

// openAll opens the files of dir by name.
func openAll(t testing.TB, dir string, files []string) []*RGB {
	t.Helper()
	var pictures []*RGB
	for _, f := range files {
		p, err := Open(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, p)
	}
	return pictures
}

// checkValues allows values to differ from those in a file by tolerance.
func checkValues(t *testing.T, values []float32, file string, tolerance float64) {
	t.Helper()
	want := readNPY(t, file)
	if len(values) != len(want) {
		t.Fatalf("%d values, want %d", len(values), len(want))
	}
	wrong, worst := 0, 0.0
	for i, v := range values {
		if d := math.Abs(float64(v - want[i])); !(d <= tolerance) {
			wrong, worst = wrong+1, max(worst, d)
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d values differ, by up to %g", wrong, len(values), worst)
	}
}

// checkGrid compares grids, laid one after the other, with those in a file.
func checkGrid(t *testing.T, got []int64, file string) {
	t.Helper()
	data := npyData(t, file, "'<i8'")
	want := make([]int64, len(data)/8)
	for i := range want {
		want[i] = int64(binary.LittleEndian.Uint64(data[8*i:]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("grid %v, want %v", got, want)
	}
}

func readNPY(t testing.TB, path string) []float32 {
	t.Helper()
	data := npyData(t, path, "'<f4'")
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

// npyData returns the numbers of an array in C order, from a file that may be compressed.
func npyData(t testing.TB, path, dtype string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	n := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	if header := string(data[10:n]); !strings.Contains(header, dtype) || strings.Contains(header, "True") {
		t.Fatalf("%s: header %s, want dtype %s in C order", path, header, dtype)
	}
	return data[n:]
}
