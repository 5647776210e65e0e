package generate

import (
	"slices"
	"testing"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		history []int32
		n       int
		want    []int32
	}{
		{nil, 3, nil},
		{[]int32{1, 2}, 3, nil},
		{[]int32{1, 2, 3, 4}, 3, nil},
		{[]int32{1, 2, 7, 8, 9, 1, 2}, 3, []int32{7, 8, 9}},
		{[]int32{1, 2, 7, 8, 9, 1, 2}, 0, nil},
		{[]int32{1, 2, 7, 1, 2, 8, 5, 1, 2}, 2, []int32{8, 5}},    // the latest
		{[]int32{4, 1, 2, 7, 1, 2, 8, 4, 1, 2}, 2, []int32{7, 1}}, // three tokens before two
		{[]int32{5, 6, 5, 6}, 5, []int32{5, 6, 5, 6, 5}},          // past the end
		{[]int32{9, 9, 9}, 4, []int32{9, 9, 9, 9}},
	} {
		got := Lookup([]int32{-1}, c.history, c.n)
		if !slices.Equal(got[1:], c.want) || got[0] != -1 {
			t.Errorf("Lookup(%v, %d) = %v, want %v", c.history, c.n, got[1:], c.want)
		}
	}
}
