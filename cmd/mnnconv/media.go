package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mnnconv/models"
	"mnnconv/models/picture"
)

// errTooMany: a question has more pictures, or a video more frames, than allowed.
var errTooMany = errors.New("too many pictures")

// maxFrames bounds what a folder of frames makes the program read.
const maxFrames = 768

// videoFPS is the frames a second of a video where nothing else is said.
const videoFPS = 2

// medium names a picture, or the frames of one video: in files, or in a folder.
type medium struct {
	files []string
	video bool
	whole bool // files is the one folder of a video's frames
}

// load decodes the files.
func (m medium) load(fps float64) (models.Media, error) {
	out := models.Media{Video: m.video, FPS: fps}
	files := m.files
	if m.video && len(files) == 1 {
		info, err := os.Stat(files[0])
		if m.whole && err == nil && !info.IsDir() {
			return out, usagef("%s is a file, a video is a folder of frames; show a picture with --image", files[0])
		}
		if err == nil && info.IsDir() {
			if files, err = frames(files[0]); err != nil {
				return out, err
			}
		}
	}
	if len(files) > maxFrames {
		return out, fmt.Errorf("%s: %w: a video of %d frames, at most %d are allowed; take fewer a second", files[0], errTooMany, len(files), maxFrames)
	}
	for _, f := range files {
		p, err := picture.Open(f)
		if err != nil {
			return out, err
		}
		out.Frames = append(out.Frames, p)
	}
	return out, nil
}

// loadMedia decodes all that a question shows. most bounds the pictures; a video
// counts as one.
func loadMedia(list []medium, fps float64, most int) ([]models.Media, error) {
	if len(list) > most {
		return nil, fmt.Errorf("%w: %d, --max-images allows %d", errTooMany, len(list), most)
	}
	var out []models.Media
	for _, m := range list {
		loaded, err := m.load(fps)
		if err != nil {
			return nil, err
		}
		out = append(out, loaded)
	}
	return out, nil
}

// mostFrames bounds the frames of a video that a session has room for: 0, whatever its
// context holds, unless there are pictures alone.
func mostFrames(media []medium) int {
	if showsVideo(media) {
		return 0
	}
	return 1
}

// showsVideo reports whether there is a video among what a question shows.
func showsVideo(list []medium) bool {
	return slices.ContainsFunc(list, func(m medium) bool { return m.video })
}

// frames lists the files of a folder in the order of the numbers in their names.
// Hidden files are left out.
func frames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: %w: no frames in this folder", dir, picture.ErrMalformed)
	}
	slices.SortFunc(names, naturally)
	for i := range names {
		names[i] = filepath.Join(dir, names[i])
	}
	return names, nil
}

// naturally compares names with runs of digits compared as numbers, so that
// frame9 is before frame10.
func naturally(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		dx, dy := digits(x), digits(y)
		if dx > 0 && dy > 0 {
			p, q := strings.TrimLeft(x[:dx], "0"), strings.TrimLeft(y[:dy], "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q)); c != 0 {
				return c
			}
			x, y = x[dx:], y[dy:]
			continue
		}
		if c := cmp.Compare(x[0], y[0]); c != 0 {
			return c
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits is the length of the number that s begins with.
func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// imageTag is how MNN's command line shows a picture within a question.
var imageTag = regexp.MustCompile(`(?s)<img>(.*?)</img>`)

// cutImageTags takes the pictures out of a question: <img>FILE</img> stands for
// --image FILE.
func cutImageTags(prompt string) (text string, pictures []medium) {
	for _, m := range imageTag.FindAllStringSubmatch(prompt, -1) {
		pictures = append(pictures, medium{files: []string{strings.TrimSpace(m[1])}})
	}
	if pictures == nil {
		return prompt, nil
	}
	return strings.TrimSpace(imageTag.ReplaceAllString(prompt, "")), pictures
}

// mediaFlag is --image or --video. Both append to one list, so that pictures and
// videos keep the order of the command line.
type mediaFlag struct {
	list  *[]medium
	video bool
}

func (f mediaFlag) Set(path string) error {
	*f.list = append(*f.list, medium{files: []string{path}, video: f.video, whole: f.video})
	return nil
}

func (f mediaFlag) Type() string {
	if f.video {
		return "FOLDER..."
	}
	return "FILE..."
}

func (f mediaFlag) String() string { return "" }
