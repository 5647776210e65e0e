package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv/models"
	"mnnconv/schemas/disk"
)

// chatOptions are the flags of chat.
type chatOptions struct {
	talkOptions

	system string
	fps    float64
	json   bool
	stats  bool
}

func newChatCmd(a *app) *cobra.Command {
	o := &chatOptions{talkOptions: talkOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "chat SRC",
		Short: "Talk with a model about pictures",
		Long: "chat answers line after line, and remembers what was said. Lines that begin with / are\n" +
			"commands:\n\n" + chatHelp + "\n" +
			"Ctrl-C stops an answer, Ctrl-D ends the chat. Without a terminal, each line of stdin is\n" +
			"a question, and the first one that fails ends the chat.",
		Example: "  mnnconv chat FOLDER\n  printf '/image picture.png\\nWhat is it?\\n' | mnnconv chat FOLDER",
		Args:    args(1, 1, srcArg),
		RunE:    func(cmd *cobra.Command, args []string) error { return runChat(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.system, "system", "", "what the model is told before the chat")
	f.Float64Var(&o.fps, "fps", videoFPS, "frames a second that videos hold")
	f.BoolVar(&o.json, "json", false, "print each answer as one line of JSON")
	f.BoolVar(&o.stats, "stats", false, "print where the time of each answer went, to stderr")
	o.addTalk(cmd)
	return cmd
}

const chatHelp = "  /image FILE    show a picture with the next question\n" +
	"  /video FOLDER  show a video, a folder of frames\n" +
	"  /clear         forget all that was said\n" +
	"  /help          list these commands\n" +
	"  /quit          end the chat\n"

func runChat(ctx context.Context, o *chatOptions, src string) (err error) {
	if !(o.fps > 0 && o.fps <= 1000) {
		return usagef("--fps %v: want a number above 0, at most 1000", o.fps)
	}
	p, err := o.open(src, 0, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(), p.Source.Close()) }()
	if err := o.sampling.idle(p.Source); err != nil {
		return err
	}
	session, err := p.Chat(o.context)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	c := &conversation{o: o, session: session, set: o.sampling.settings(p)}
	c.set.Reuse = true
	c.clear()
	return c.talk(ctx, o.prompter(ctx))
}

// conversation is a chat: what was said, and what the next question shows.
type conversation struct {
	o       *chatOptions
	session models.Session
	set     models.Settings
	turns   []models.Turn
	shown   []models.Media
}

func (c *conversation) clear() {
	c.turns, c.shown = nil, nil
	if c.o.system != "" {
		c.turns = []models.Turn{{Role: "system", Parts: []models.Part{{Text: c.o.system}}}}
	}
}

// talk answers lines until they end. Someone at a terminal sees what fails and goes
// on; elsewhere the first failure ends the chat.
func (c *conversation) talk(ctx context.Context, lines prompter) error {
	for n := 1; ; n++ {
		line, err := lines.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		over, err := c.take(ctx, strings.TrimSpace(line))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (!lines.interactive() || errors.Is(err, disk.ErrWrite)):
			return fmt.Errorf("line %d: %w", n, err)
		case err != nil:
			c.o.report(err)
		case over:
			return nil
		}
	}
}

// take does what one line says; over ends the chat.
func (c *conversation) take(ctx context.Context, line string) (over bool, err error) {
	command, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case line == "":
		return false, nil
	case !strings.HasPrefix(line, "/"):
		return false, c.ask(ctx, line)
	case command == "/quit" || command == "/exit" || command == "/bye":
		return true, nil
	case command == "/help":
		return false, c.write(chatHelp)
	case command == "/clear":
		c.clear()
		return false, nil
	case (command == "/image" || command == "/video") && rest != "":
		return false, c.show(medium{files: []string{rest}, video: command == "/video", whole: command == "/video"})
	case command == "/image" || command == "/video":
		return false, usagef("%s needs a file", command)
	}
	return false, usagef("no command %s; /help lists them", printable(command))
}

func (c *conversation) show(m medium) error {
	pictures := len(c.shown)
	for _, t := range c.turns {
		for _, p := range t.Parts {
			if p.Media != nil {
				pictures++
			}
		}
	}
	if pictures >= c.o.maxImages {
		return fmt.Errorf("%w: this chat has %d, --max-images allows %d; /clear forgets them", errTooMany, pictures, c.o.maxImages)
	}
	loaded, err := m.load(c.o.fps)
	if err == nil {
		c.shown = append(c.shown, loaded)
	}
	return err
}

// ask answers a question with what was shown. Ctrl-C stops the answer, and what was
// said of it stays said. A question that fails was never asked.
func (c *conversation) ask(ctx context.Context, text string) error {
	answering, stop := context.WithCancel(ctx)
	defer stop()
	defer c.o.onInterrupt(stop)()
	turns := append(c.turns[:len(c.turns):len(c.turns)], models.Asking(text, c.shown...).Turns...)
	var said strings.Builder
	set := c.set
	set.OnText = func(text string) error {
		said.WriteString(text)
		if c.o.json {
			return nil
		}
		return c.write(text)
	}
	a, err := c.session.Ask(answering, models.Question{Turns: turns}, set)
	stopped := err != nil && answering.Err() != nil && ctx.Err() == nil
	if said.Len() > 0 && !c.o.json {
		if werr := c.write("\n"); err == nil {
			err = werr
		}
	}
	if err != nil && !stopped {
		return err
	}
	c.shown = nil
	c.turns = append(turns, models.Turn{Role: "assistant", Parts: []models.Part{{Text: said.String()}}})
	if stopped {
		return nil
	}
	if c.o.stats {
		writeStats(c.o.err, a.Stats, 1)
	}
	if c.o.json {
		if err := writeJSON(c.o.out, newAnswerLine(nil, a)); err != nil {
			return fmt.Errorf("answer %w: %w", disk.ErrWrite, err)
		}
	}
	return nil
}

func (c *conversation) write(text string) error {
	if _, err := io.WriteString(c.o.out, text); err != nil {
		return fmt.Errorf("answer %w: %w", disk.ErrWrite, err)
	}
	return nil
}
