package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// pty opens a terminal: what is written to keys is typed into it, what it shows is
// read from there.
func pty(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return keys, screen
}

// TestChatTerminal: at a terminal there is a prompt, the line before comes back with
// the up key, mistakes end nothing, and the terminal is left as it was.
func TestChatTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	keys, screen := pty(t)
	before, err := term.GetState(int(screen.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan []byte)
	go func() {
		for {
			buf := make([]byte, 4096)
			n, err := keys.Read(buf)
			if err != nil {
				close(shown)
				return
			}
			shown <- buf[:n]
		}
	}()
	var all bytes.Buffer
	wait := func(times int, text string) {
		t.Helper()
		late := time.After(time.Minute)
		for strings.Count(all.String(), text) < times {
			select {
			case b := <-shown:
				all.Write(b)
			case <-late:
				t.Fatalf("%q is not shown: %q", text, &all)
			}
		}
	}
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run([]string{"chat", bundled}, screen, screen, &errs) }()
	for i, step := range []struct{ keys, shows string }{
		{"Count from 6 to 13.\r", "6 7 8 9 10 11 12 13."},
		{"/image nowhere.png\r", "> /image nowhere.png"},
		{"/clear\r", "> /clear"},
		{"\x1b[A\x1b[A\x1b[A\r", "6 7 8 9 10 11 12 13."}, // three lines up
		{"/help\r", "/image FILE    show a picture"},
		{"\x04", ""},
	} {
		wait(i+1, "> ")
		if _, err := keys.WriteString(step.keys); err != nil {
			t.Fatal(err)
		}
		times := 1
		if i == 3 {
			times = 2
		}
		if step.shows != "" {
			wait(times, step.shows)
		}
	}
	for {
		select {
		case b := <-shown: // or the last words wait for a reader
			all.Write(b)
			continue
		case got := <-code:
			if got != 0 || errs.String() != "mnnconv: nowhere.png: no such file or directory; check the path\n" {
				t.Errorf("exit code %d, on stderr %q", got, &errs)
			}
		}
		break
	}
	if after, err := term.GetState(int(screen.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal is not left as it was: %v %v, %v", before, after, err)
	}
}
