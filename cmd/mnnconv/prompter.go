package main

import (
	"bufio"
	"context"
	"errors"
	"io"

	"golang.org/x/term"
)

// prompter gets lines from whoever talks; io.EOF after the last one.
type prompter interface {
	next(context.Context) (string, error)
	// interactive tells whether somebody sees each answer before the next line.
	interactive() bool
}

// prompter is a line editor with a history at a terminal, and plain lines elsewhere.
func (a *app) prompter(ctx context.Context) prompter {
	if in := terminal(a.in); in != nil && terminal(a.out) != nil {
		screen := struct {
			io.Reader
			io.Writer
		}{a.stdin(ctx), a.out}
		return &editor{app: a, fd: int(in.Fd()), term: term.NewTerminal(screen, "> ")}
	}
	return plain{bufio.NewReaderSize(a.stdin(ctx), 1<<16)}
}

type plain struct{ r *bufio.Reader }

func (p plain) next(ctx context.Context) (string, error) {
	line, err := readLine(p.r, maxLine)
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return string(line), err
}

func (plain) interactive() bool { return false }

// editor reads lines in the terminal's raw mode, in which it is for no longer than
// that: an answer is stopped by the terminal's own Ctrl-C.
type editor struct {
	app  *app
	fd   int
	term *term.Terminal
}

func (e *editor) next(ctx context.Context) (string, error) {
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	before, err := term.MakeRaw(e.fd)
	if err != nil {
		return "", err
	}
	defer e.app.atEnd(func() { _ = term.Restore(e.fd, before) })()
	if w, h, err := term.GetSize(e.fd); err == nil && w > 0 && h > 0 {
		_ = e.term.SetSize(w, h)
	}
	e.term.SetBracketedPasteMode(true)
	defer e.term.SetBracketedPasteMode(false)
	line, err := e.term.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

func (*editor) interactive() bool { return true }
