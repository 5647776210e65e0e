package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"mnnconv/graph"
	"mnnconv/models/picture"
	"mnnconv/schemas/npy"
)

// preprocessOptions are the flags of preprocess.
type preprocessOptions struct {
	*app
	modelOptions
	files []string
	out   string
	model string
	video bool
	json  bool
}

func newPreprocessCmd(a *app) *cobra.Command {
	o := &preprocessOptions{app: a}
	cmd := &cobra.Command{
		Use:   "preprocess FILE... -o DIR",
		Short: "Turn pictures into a vision tower's pixel_values.npy and image_grid_thw.npy",
		Long: "preprocess writes what Qwen2-VL's image processor makes of pictures: pixel_values.npy,\n" +
			"float32, a row for each patch, and image_grid_thw.npy, int64, a row for each picture.",
		Example: "  mnnconv preprocess a.jpg b.png -o arrays --model FOLDER",
		Args:    args(1, -1, "picture files"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return runPreprocess(o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "write to `DIR`")
	f.StringVar(&o.model, "model", "", "take the settings of the model folder `DIR`; else those published with Qwen2.5-VL")
	f.BoolVar(&o.video, "video", false, "the files are the frames of one video")
	f.BoolVar(&o.json, "json", false, "print one line of JSON")
	o.addPixels(cmd)
	return cmd
}

func runPreprocess(o *preprocessOptions) error {
	if o.out == "" {
		return usagef("give the folder to write to with -o")
	}
	if _, err := o.wire(o.app); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	list := []medium{{files: o.files, video: true}}
	if !o.video {
		list = nil
		for _, f := range o.files {
			list = append(list, medium{files: []string{f}})
		}
	}
	bar := o.progress("preparing", int64(len(list)), false)
	defer bar.end()
	var pixels []float32
	grids := []int64{}
	width := int64(0)
	for _, m := range list {
		media, err := m.load(videoFPS)
		if err != nil {
			return err
		}
		p, grid, err := picture.ProcessVideo(cfg, media.Frames)
		if err != nil {
			return err
		}
		width = int64(len(p)) / (grid[0] * grid[1] * grid[2])
		pixels = append(pixels, p...)
		grids = append(grids, grid[:]...)
		bar.add(1)
	}
	bar.end()
	return o.write(pixels, width, grids)
}

// config is the model's, with the flags' limits in their place.
func (o *preprocessOptions) config() (picture.Config, error) {
	cfg := picture.Qwen()
	if o.model != "" {
		var err error
		cfg, err = picture.LoadConfig(o.model)
		switch {
		case errors.Is(err, fs.ErrNotExist) && (o.minPixels == 0 || o.maxPixels == 0):
			return cfg, fmt.Errorf("%w: give --min-pixels and --max-pixels, or leave --model out for Qwen2.5-VL's own", err)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return cfg, err
		}
	}
	return cfg.Within(o.minPixels, o.maxPixels)
}

func (o *preprocessOptions) write(pixels []float32, width int64, grids []int64) error {
	if err := o.disk.MakeAll(o.out); err != nil {
		return err
	}
	rows := int64(len(pixels)) / width
	pixelFile, gridFile := filepath.Join(o.out, "pixel_values.npy"), filepath.Join(o.out, "image_grid_thw.npy")
	err := npy.Write(o.disk, pixelFile, graph.Floats(pixels, rows, width))
	if err == nil {
		err = npy.Write(o.disk, gridFile, graph.Ints(grids, int64(len(grids)/3), 3))
	}
	if err != nil {
		return err
	}
	if o.json {
		var grid [][]int64
		for i := 0; i < len(grids); i += 3 {
			grid = append(grid, grids[i:i+3])
		}
		return writeJSON(o.app.out, struct {
			SchemaVersion int       `json:"schema_version"`
			Pixels        string    `json:"pixel_values"`
			Shape         []int64   `json:"shape"`
			Grid          string    `json:"image_grid_thw"`
			Grids         [][]int64 `json:"grid"`
		}{schemaVersion, pixelFile, []int64{rows, width}, gridFile, grid})
	}
	_, err = fmt.Fprintf(o.app.out, "%s float32[%d, %d]\n%s int64[%d, 3]\n", printable(pixelFile), rows, width, printable(gridFile), len(grids)/3)
	return err
}
