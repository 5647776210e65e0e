package main

import (
	"bytes"
	"testing"
	"time"
)

// TestProgress: without a terminal there is no bar, and a bar that never showed
// ends as often as it likes.
func TestProgress(t *testing.T) {
	var errs bytes.Buffer
	p := (&app{err: &errs}).progress("testing", 3, false)
	if p != nil {
		t.Error("a bar on what is no terminal")
	}
	for _, p := range []*progress{p, {total: 3, timer: time.NewTimer(patience)}} {
		p.add(1)
		p.hide()
		p.end()
		p.end()
		p.add(1)
	}
	if colours(&errs) || columns(&errs) != 80 || errs.Len() > 0 {
		t.Errorf("a buffer has colours or columns, or something was written: %q", &errs)
	}
}
