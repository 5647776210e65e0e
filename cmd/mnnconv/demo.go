package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/picture"
	"mnnconv/models/tinyvl"
	"mnnconv/partition"
	"mnnconv/schemas/disk"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	*app
	modelOptions
	json bool
}

func newDemoCmd(a *app) *cobra.Command {
	o := &demoOptions{app: a}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Answer five questions about embedded pictures with the embedded model",
		Long: "demo unpacks a small trained Qwen2.5-VL, shows five questions with their pictures and\n" +
			"answers them. It needs nothing but this program. Its exit code tells whether every answer\n" +
			"is the expected one.",
		Example: "  mnnconv demo\n  mnnconv demo --place vision=sim:0",
		Args:    args(0, 0, "none"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print one line of JSON")
	o.addPlace(cmd)
	o.addThreads(cmd)
	o.addTimeout(cmd)
	return cmd
}

// demoAnswer is what demo --json says of one question.
type demoAnswer struct {
	Name     string `json:"name"`
	Question string `json:"question"`
	Text     string `json:"text"`
	Want     string `json:"want"`
}

func runDemo(ctx context.Context, o *demoOptions) (err error) {
	w, err := o.wire(o.app)
	if err != nil {
		return err
	}
	items, err := tinyvl.Demo()
	if err != nil {
		return err
	}
	dir, err := o.tempDir()
	if err != nil {
		return fmt.Errorf("temporary folder %w: %w", disk.ErrWrite, err)
	}
	if err := tinyvl.Extract(o.disk, dir); err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	s, err := o.load(o.app, dir, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p, err := mnnconv.Open(s, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	chat, err := p.Chat(0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chat.Close()) }()

	d := demo{o: o, program: p, chat: chat}
	for _, it := range items {
		if err := d.ask(ctx, it); err != nil {
			return fmt.Errorf("%s: %w", it.Name, err)
		}
	}
	if err := d.finish(); err != nil {
		return err
	}
	if d.wrong > 0 {
		return fmt.Errorf("%w: %d of %d answers are not the expected ones", errDiffer, d.wrong, len(items))
	}
	return nil
}

// demo asks the questions and adds up where the time went.
type demo struct {
	o       *demoOptions
	program *mnnconv.Program
	chat    models.Session
	answers []demoAnswer
	stats   models.Stats
	shown   int // pictures
	wrong   int
}

func (d *demo) ask(ctx context.Context, it tinyvl.Item) error {
	out := d.o.out
	var media []models.Media
	var pictures []*picture.RGB
	for _, f := range it.Files {
		p, err := picture.Decode(f.Name, f.Data)
		if err != nil {
			return err
		}
		pictures = append(pictures, p)
		if it.Video && len(media) == 1 {
			media[0].Frames = append(media[0].Frames, p)
			continue
		}
		media = append(media, models.Media{Frames: []*picture.RGB{p}, Video: it.Video, FPS: videoFPS})
	}
	d.shown += len(pictures)
	set := models.Settings{Sampling: d.program.Source.Info.Generate.Sampling}
	if !d.o.json {
		if colours(out) {
			if _, err := io.WriteString(out, halfBlocks(pictures, columns(out)-1)); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(out, "%s\n> ", it.Question); err != nil {
			return err
		}
		set.OnText = func(text string) error {
			_, err := io.WriteString(out, text)
			return err
		}
	}
	a, err := d.chat.Ask(ctx, models.Asking(it.Question, media...), set)
	if err != nil {
		return err
	}
	d.stats = sum(d.stats, a.Stats)
	d.answers = append(d.answers, demoAnswer{it.Name, it.Question, a.Text, it.Want})
	verdict := ""
	if a.Text != it.Want {
		d.wrong++
		verdict = fmt.Sprintf("\n! expected: %s", it.Want)
	}
	if d.o.json {
		return nil
	}
	_, err = fmt.Fprintf(out, "%s\n\n", verdict)
	return err
}

// finish prints the table of stages, or everything as JSON.
func (d *demo) finish() error {
	rows := d.stages()
	if d.o.json {
		return writeJSON(d.o.out, struct {
			SchemaVersion int          `json:"schema_version"`
			Answers       []demoAnswer `json:"answers"`
			Stages        []stageRow   `json:"stages"`
		}{schemaVersion, d.answers, rows})
	}
	t := table{{"stage", "devices", "time", "work", "weights", "made"}}
	for _, r := range rows {
		t.add(r.Stage, r.Devices, milliseconds(time.Duration(r.Microseconds)*time.Microsecond), r.Work, bytesText(r.Weights), bytesText(r.Made))
	}
	for _, p := range d.program.Plans {
		for _, n := range p.Copies() {
			c := newCopyInfo(p, n)
			t.add("copy", c.From+" → "+c.To, "", c.Value)
		}
	}
	return t.write(d.o.out, "")
}

// stageRow is one line of the table of stages.
type stageRow struct {
	Stage        string `json:"stage"`
	Devices      string `json:"devices"`
	Microseconds int64  `json:"microseconds"`
	Work         string `json:"work"`
	Weights      int64  `json:"weights"` // bytes that the stage reads
	Made         int64  `json:"made"`    // bytes of pixels, image rows or state that it hands on
}

func (d *demo) stages() []stageRow {
	s := d.stats
	us := func(t time.Duration) int64 { return t.Microseconds() }
	rows := []stageRow{
		{Stage: "preprocess", Devices: string(graph.Host), Microseconds: us(s.Preprocess), Work: plural(d.shown, "picture")},
		{Stage: "encode", Microseconds: us(s.Encode), Work: plural(s.ImageTokens, "image token")},
		{Stage: "prefill", Microseconds: us(s.Prefill), Work: plural(s.PromptTokens, "prompt token")},
		{Stage: "decode", Microseconds: us(s.Decode), Work: plural(s.Tokens, "token")},
	}
	for _, p := range d.program.Plans {
		m := measure([]models.Phase{{Graph: p.Graph}})
		if p.Phase == "encode" {
			rows[1].Devices, rows[1].Weights = targets(p), m.Weights
			env := graph.Env{}
			if symbol, _, _, ok := p.Graph.Outputs[0].Type.Shape[0].Linear(); ok {
				env[symbol] = int64(s.ImageTokens)
			}
			rows[0].Made, rows[1].Made = sizes(p.Graph.Inputs, env), sizes(p.Graph.Outputs, env)
			continue
		}
		for j, tokens := range []int{s.PromptTokens, s.Tokens} {
			r := &rows[2+j]
			r.Devices, r.Weights, r.Made = targets(p), m.Weights, m.StatePerToken*int64(tokens)
		}
	}
	return rows
}

// targets lists the devices of a plan.
func targets(p *partition.Plan) string {
	seen := map[string]bool{}
	for _, part := range p.Partitions() {
		seen[part.Target] = true
	}
	return strings.Join(sortedKeys(seen), ", ")
}

// sizes adds up the values whose size env decides.
func sizes(values []*graph.Value, env graph.Env) int64 {
	total := int64(0)
	for _, v := range values {
		if n, err := valueBytes(v).Eval(env); err == nil {
			total += n
		}
	}
	return total
}
