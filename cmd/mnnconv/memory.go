package main

import (
	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/partition"
)

// memoryOptions are the flags of commands that tell what memory a session needs.
type memoryOptions struct {
	memory    []string
	context   int
	maxImages int
}

// mostImages is how many pictures and videos a question may have.
const mostImages = 16

func (o *memoryOptions) addMemory(cmd *cobra.Command) {
	o.addPolicy(cmd, "bound a memory, SPACE=limit:6GiB, and let weights go after their phase, SPACE=release:STAGE; may be repeated")
	f := cmd.Flags()
	f.IntVarP(&o.context, "context", "c", 0, "room for `N` tokens of prompt and answer; 0: 4096, what the model allows, or what fits")
	f.IntVar(&o.maxImages, "max-images", mostImages, "pictures and videos a question may have")
}

func (o *memoryOptions) addPolicy(cmd *cobra.Command, help string) {
	cmd.Flags().Var(list{&o.memory, "SPACE=POLICY"}, "memory", help)
}

// policy hands what --memory says to the library.
func (o *memoryOptions) policy(w *mnnconv.Options) error {
	if w.Memory == nil {
		w.Memory = partition.Policy{}
	}
	for _, text := range o.memory {
		if err := w.Memory.Parse(text); err != nil {
			return err
		}
	}
	return nil
}

// bound checks the options and hands them to the library. frames bounds videos, see
// models.SessionOptions.
func (o *memoryOptions) bound(w *mnnconv.Options, frames int) error {
	switch {
	case o.context < 0:
		return usagef("--context %d: want 0 or more", o.context)
	case o.maxImages < 0:
		return usagef("--max-images %d: want 0 or more", o.maxImages)
	}
	if err := o.policy(w); err != nil {
		return err
	}
	w.Session = models.SessionOptions{Capacity: o.context, Images: max(1, o.maxImages), Frames: frames, Lanes: w.Session.Lanes}
	return nil
}

// budgetTable has a line for each space and phase, and one for what is allocated
// in all, beside the limits.
func budgetTable(spaces []partition.SpaceBudget) table {
	t := table{{"space", "phase", "constants", "state", "scratch", "crossing", "staging", "in all", "limits"}}
	for _, s := range spaces {
		for _, p := range s.Phases {
			t.add(string(s.Space), p.Phase, sizeText(p.Constants), sizeText(p.State), sizeText(p.Scratch), sizeText(p.Crossing), sizeText(p.Staging), sizeText(p.Total()))
		}
		row := []string{string(s.Space), "most", "", "", "", "", "", sizeText(s.Peak)}
		if s.Unknown > 0 {
			row[7] += " and " + plural(s.Unknown, "value") + " that only running sizes"
		}
		text := ""
		for _, l := range s.Limits {
			if text != "" {
				text += ", "
			}
			text += printable(l.What) + " " + bytesText(l.Bytes)
		}
		t.add(append(row, text)...)
	}
	return t
}

// sizeText is bytesText with a word for nothing.
func sizeText(n int64) string {
	if n == 0 {
		return "-"
	}
	return bytesText(n)
}
