//go:build accept

package accept

import (
	"path/filepath"
	"testing"

	"mnnconv/tests"
)

// TestAcceptSound compares five exports over six placements, in which nothing is
// wrong: no alarm.
func TestAcceptSound(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	program := planting{file: "cmd/mnnconv/main.go", old: "package main", new: "package main"}.built(t, root)
	picture := filepath.Join(root, "models/tinyvl/demo/describe.png")
	all, quiet := 0, 0
	for _, export := range []string{"torch-dynamo-op23", "tjs-fp16", "tjs-q4f16", "mnn-tied", "olive-cpu-int4"} {
		for _, place := range []string{
			"cpu",
			"sim:0",
			"vision=sim:0,llm=sim:1",
			"vision=sim:0",
			"llm.layers.1-2=sim:1",
			"vision.blocks.0-1=sim:0,vision=sim:1,llm.layers.0-1=sim:2,llm=sim:3",
		} {
			all++
			r := execute(t, program, "compare", shared("tinyvl", "exports", export), "--place", place, "--image", picture, "-p", "Describe the image.", "-n", "4", "--max-pixels", "50176", "--json")
			var c compared
			r.read(t, &c)
			if r.code == 0 && c.Verdict == "same" {
				quiet++
			} else {
				t.Errorf("%s --place %s: exit code %d: %s", export, place, r.code, c.Sentence)
			}
		}
	}
	tests.Row(t, quiet == all, "compare where nothing is wrong, five exports × six placements", "no alarm", "%d alarms", all-quiet)
}
