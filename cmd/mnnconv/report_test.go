package main

import (
	"os/exec"
	"testing"
)

// TestQuoted has bash read the words again.
func TestQuoted(t *testing.T) {
	for _, word := range []string{"vision=sim:0,llm=sim:1", "", "What is it?", "it's", "$HOME `id` \"x\" \\", "a\nb\x1b[2J\u202e'", "~/x", "*", "/\\.(attn|mlp)/=sim:0", "ünï"} {
		out, err := exec.CommandContext(t.Context(), "bash", "-c", "LC_ALL=C.UTF-8; printf %s "+quoted(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q is written %s, which is read %q (%v)", word, quoted(word), out, err)
		}
	}
}
