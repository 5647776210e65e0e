package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mnnconv/models/tokenizer"
)

// tokenizeOptions are the flags of tokenize.
type tokenizeOptions struct {
	*app
	dir   string
	texts []string
	jsonl bool
	json  bool
}

// maxText bounds what tokenize reads from stdin, in bytes.
const maxText = 1 << 30

func newTokenizeCmd(a *app) *cobra.Command {
	o := &tokenizeOptions{app: a}
	cmd := &cobra.Command{
		Use:   "tokenize FOLDER [TEXT...]",
		Short: "Turn text into token ids",
		Long: "tokenize encodes its arguments, joined by blanks, or stdin. With --jsonl, it reads lines\n" +
			"{\"text\"} from stdin and writes lines {\"ids\"}. Unlike in a question, added tokens spelled\n" +
			"in the text, such as <|im_start|>, become their ids.",
		Example: "  mnnconv tokenize FOLDER \"Hello, world\"\n  mnnconv tokenize FOLDER --jsonl < texts.jsonl",
		Args:    args(1, -1, "a model folder, and text or none for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir, o.texts = args[0], args[1:]
			return runTokenize(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.jsonl, "jsonl", false, "read lines {\"text\"}, write lines {\"ids\"}")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one line of JSON")
	return cmd
}

func runTokenize(ctx context.Context, o *tokenizeOptions) error {
	if o.jsonl && len(o.texts) > 0 {
		return usagef("--jsonl reads stdin: give no text")
	}
	t, err := tokenizer.Load(o.dir, "")
	if err != nil {
		return err
	}
	if o.jsonl {
		return o.lines(ctx, t)
	}
	text := strings.Join(o.texts, " ")
	if len(o.texts) == 0 {
		b, err := io.ReadAll(io.LimitReader(o.stdin(ctx), maxText+1))
		if err != nil {
			return err
		}
		text = string(b)
	}
	ids, err := t.Encode(text)
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(o.out, idsLine{append([]int32{}, ids...)})
	}
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	_, err = o.out.Write(append(b, '\n'))
	return err
}

type idsLine struct {
	IDs []int32 `json:"ids"`
}

// lines encodes lines of JSON until the first that is none.
func (o *tokenizeOptions) lines(ctx context.Context, t *tokenizer.Tokenizer) (err error) {
	in, out := bufio.NewReaderSize(o.stdin(ctx), 1<<16), bufio.NewWriterSize(o.out, 1<<16)
	defer func() { err = errors.Join(err, out.Flush()) }()
	for n := 1; ; n++ {
		line, readErr := readLine(in, maxLine)
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return fmt.Errorf("line %d: %w", n, readErr)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var text struct {
				Text *string `json:"text"`
			}
			if err := decodeLine(line, &text); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if text.Text == nil {
				return fmt.Errorf(`line %d: %w: no "text" in it`, n, errLine)
			}
			ids, err := t.Encode(*text.Text)
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if err := writeJSON(out, idsLine{append([]int32{}, ids...)}); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if in.Buffered() == 0 { // nothing more at hand: somebody may wait for the answer
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}
