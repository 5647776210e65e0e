//go:build accept

package accept

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mnnconv/tests"
)

// built compiles the program with one file changed.
func (p planting) built(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(p.file))
	if err := os.WriteFile(changed, []byte(p.changed(t, root)), 0o666); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, p.file): changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o666); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "mnnconv")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/mnnconv")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// ran is how a command ended.
type ran struct {
	code     int
	out, err string
}

func execute(t *testing.T, program string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func (r ran) read(t *testing.T, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.out), to); err != nil {
		t.Fatalf("%v: exit code %d, %s\n%s", err, r.code, r.out, r.err)
	}
}

// plan is what inspect --nodes --json says of a placement.
type plan struct {
	Partitions []struct {
		Phase, Target string
		Index         int
		Nodes         []struct{ Path, Name, Op string }
	}
}

// partitionOf names a partition.
type partitionOf struct {
	phase string
	index int
}

// harmed lists the partitions and the paths of nodes that the fault may show in.
func (p planting) harmed(pl plan) (parts []partitionOf, paths []string) {
	for _, q := range pl.Partitions {
		if p.device != "" && q.Target != p.device {
			continue
		}
		at := partitionOf{q.Phase, q.Index}
		for _, n := range q.Nodes {
			if !slices.Contains(p.ops, n.Op) || p.path != "" && p.path != n.Path {
				continue
			}
			paths = append(paths, n.Path, n.Name)
			if !slices.Contains(parts, at) {
				parts = append(parts, at)
			}
		}
	}
	return parts, paths
}

// compared and bisected are what the two commands print for programs.
type compared struct {
	Verdict, Sentence string
	Partitions        []struct {
		Phase, Target, Verdict, First string
		Index                         int
	}
}

type bisected struct {
	Verdict, Phase, Target, Node string
	Partition, Runs, Nodes       int
	Covers, Replay               []string
}

// TestAcceptPlanted plants each fault, and wants compare to name the partition that
// is wrong by itself and no other, bisect a node that is, in few runs, and the saved
// case to show it again with the fault and not without.
func TestAcceptPlanted(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sound := planting{file: "cmd/mnnconv/main.go", old: "package main", new: "package main"}.built(t, root)
	picture := filepath.Join(root, "models/tinyvl/demo/describe.png")
	named, found, replayed := 0, 0, 0
	all := plantings()
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			program := p.built(t, root)
			src := shared("tinyvl", "exports", p.export)
			ask := []string{src, "--place", p.place, "--image", picture, "-p", "Describe the image.", "-n", "4", "--max-pixels", "50176", "--json"}
			var pl plan
			execute(t, sound, "inspect", src, "--place", p.place, "--nodes", "--json").read(t, &pl)
			parts, paths := p.harmed(pl)
			if len(parts) == 0 {
				t.Fatalf("no %v on %s in this placement", p.ops, p.device)
			}

			r := execute(t, program, append([]string{"compare"}, ask...)...)
			var c compared
			r.read(t, &c)
			t.Log(c.Sentence)
			wrong := 0
			right := r.code == 10 && c.Verdict == "differs"
			for _, q := range c.Partitions {
				if q.Verdict != "wrong" {
					continue
				}
				wrong++
				right = right && slices.Contains(parts, partitionOf{q.Phase, q.Index})
			}
			if right = right && wrong > 0; right {
				named++
			} else {
				t.Errorf("compare: exit code %d, %+v, want %v", r.code, c, parts)
			}

			dir := filepath.Join(t.TempDir(), "case")
			r = execute(t, program, append([]string{"bisect", "--save-case", dir}, ask...)...)
			var b bisected
			r.read(t, &b)
			t.Logf("%s, of %v, in %d runs of %d nodes", b.Node, b.Covers, b.Runs, b.Nodes)
			hit := false
			for _, node := range append([]string{b.Node}, b.Covers...) {
				hit = hit || slices.Contains(paths, node)
			}
			if most := bits(b.Nodes) + 2; r.code == 10 && hit && slices.Contains(parts, partitionOf{b.Phase, b.Partition}) && b.Runs <= most {
				found++
			} else {
				t.Errorf("bisect: exit code %d, %+v, want one of %v in at most %d runs", r.code, b, paths, most)
			}

			if len(b.Replay) < 2 {
				t.Fatalf("bisect gives no command to replay: %+v", b)
			}
			again, without := execute(t, program, b.Replay[1:]...), execute(t, sound, b.Replay[1:]...)
			if again.code == 10 && without.code == 0 {
				replayed++
			} else {
				t.Errorf("%v: exit code %d with the fault, %d without: %s %s", b.Replay, again.code, without.code, again.err, without.err)
			}
		})
	}
	tests.Row(t, named == len(all), "planted faults: compare names the partition", fmt.Sprintf("%d of %d", len(all), len(all)), "%d of %d", named, len(all))
	tests.Row(t, found == len(all), "planted faults: bisect names the node, in log2(nodes) + 2 runs", fmt.Sprintf("%d of %d", len(all), len(all)), "%d of %d", found, len(all))
	tests.Row(t, replayed == len(all), "planted faults: the saved case shows it, and only with the fault", fmt.Sprintf("%d of %d", len(all), len(all)), "%d of %d", replayed, len(all))
}

// bits is the logarithm to base 2, rounded up.
func bits(n int) int {
	b := 0
	for 1<<b < n {
		b++
	}
	return b
}
