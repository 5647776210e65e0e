//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestSignals interrupts a batch that waits for its second question.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		code   int
		says   string
	}{{syscall.SIGINT, 130, "mnnconv: interrupted\n"}, {syscall.SIGTERM, 143, "mnnconv: terminated\n"}} {
		questions, ask := io.Pipe()
		answers, out := io.Pipe()
		var errs bytes.Buffer
		code := make(chan int)
		go func() {
			code <- run([]string{"run", bundled, "--batch", "-"}, questions, out, &errs)
			out.Close()
		}()
		if _, err := fmt.Fprintln(ask, `{"id": 1, "question": "Count from 6 to 13."}`); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(answers).ReadString('\n'); err != nil {
			t.Fatalf("%q %v", line, err)
		}
		if err := syscall.Kill(os.Getpid(), c.signal); err != nil {
			t.Fatal(err)
		}
		if got := <-code; got != c.code || errs.String() != c.says {
			t.Errorf("%v: exit code %d and %q, want %d and %q", c.signal, got, &errs, c.code, c.says)
		}
		ask.Close()
	}
}

// TestStoppedAnswer: Ctrl-C ends the answer of a chat, which goes on; where there is
// none, it ends the chat.
func TestStoppedAnswer(t *testing.T) {
	questions, ask := io.Pipe()
	answers, out := io.Pipe()
	var errs bytes.Buffer
	code := make(chan int)
	go func() {
		code <- run([]string{"chat", bundled, "--temperature", "5", "--seed", "1"}, questions, out, &errs)
		out.Close()
	}()
	say := func(line string) {
		t.Helper()
		if _, err := fmt.Fprintln(ask, line); err != nil {
			t.Fatal(err)
		}
	}
	read := bufio.NewReader(answers)
	say("Count from 6 to 13.")
	first := make([]byte, 1)
	if _, err := io.ReadFull(read, first); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	helped := make(chan error, 1)
	go func() { // what was drawn of the answer may have lines of its own
		defer close(helped)
		for {
			line, err := read.ReadString('\n')
			if err != nil {
				helped <- fmt.Errorf("after the stopped answer: %q %w", line, err)
				return
			}
			if strings.Contains(line, "/image FILE") {
				break
			}
		}
		go io.Copy(io.Discard, read) //nolint:errcheck // it ends with the pipe
	}()
	say("/help")
	if err := <-helped; err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 130 || errs.String() != "mnnconv: interrupted\n" {
		t.Errorf("exit code %d and %q", got, &errs)
	}
	ask.Close()
}
