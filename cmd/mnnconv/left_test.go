//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLeft: what a command that was stopped has no time to remove is named; the
// next one removes it (package disk).
func TestLeft(t *testing.T) {
	small := filepath.Join(fixtureDir(t), "sum.onnx")
	out := t.TempDir()
	convert := []string{"convert", small, "-o", filepath.Join(out, "model.mnnc")}
	d, there := stuck(5)
	var errs bytes.Buffer
	a := &app{in: strings.NewReader(""), out: io.Discard, err: &errs, disk: d, grace: time.Millisecond, removing: time.Nanosecond}
	code := make(chan int)
	go func() { code <- a.run(convert) }()
	<-there
	raise(t, syscall.SIGINT)
	got := <-code
	left := names(t, out)
	delete(left, "/.model.mnnc.tmp")
	held := 0
	for _, n := range left {
		held += n
	}
	want := fmt.Sprintf("mnnconv: %s of what was begun is left, %d B, since the disk is slow to free it: the same command removes it first, or you may\nmnnconv: interrupted\n",
		filepath.Join(out, ".model.mnnc.tmp"), held)
	if got != 130 || errs.String() != want || held == 0 {
		t.Errorf("exit %d, %q, want %q", got, &errs, want)
	}
}
