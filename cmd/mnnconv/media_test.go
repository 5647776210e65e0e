package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestNaturally(t *testing.T) {
	want := []string{"1.png", "2.png", "10.png", "a", "a1b2", "a01b10", "a1b10", "a2", "frame9.png", "frame010.png", "frame11.png", "frame99999999999999999999.png", "frame100000000000000000000.png"}
	for i, a := range want {
		for j, b := range want {
			if got := naturally(a, b); got != cmp.Compare(i, j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
}

func TestFrames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"f10.png", "f9.png", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "f1"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := frames(dir)
	want := []string{filepath.Join(dir, "f9.png"), filepath.Join(dir, "f10.png")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v, want %q", got, err, want)
	}
}

func TestCutImageTags(t *testing.T) {
	for _, c := range []struct {
		prompt, text string
		files        []string
	}{
		{"no picture", "no picture", nil},
		{" as it is ", " as it is ", nil},
		{"<img>a.png</img>What is it?", "What is it?", []string{"a.png"}},
		{"Compare <img> a b.png </img> and <img>c.png</img>", "Compare  and", []string{"a b.png", "c.png"}},
		{"<img>not closed", "<img>not closed", nil},
	} {
		text, pictures := cutImageTags(c.prompt)
		var files []string
		for _, p := range pictures {
			files = append(files, p.files...)
		}
		if text != c.text || !slices.Equal(files, c.files) {
			t.Errorf("%q: %q and %q, want %q and %q", c.prompt, text, files, c.text, c.files)
		}
	}
}

func TestLoadMediaLimits(t *testing.T) {
	if _, err := loadMedia(make([]medium, 3), 2, 2); !errors.Is(err, errTooMany) {
		t.Errorf("three pictures of two: %v", err)
	}
	video := medium{files: make([]string, maxFrames+1), video: true}
	if _, err := loadMedia([]medium{video}, 2, 2); !errors.Is(err, errTooMany) {
		t.Errorf("%d frames: %v", len(video.files), err)
	}
}
