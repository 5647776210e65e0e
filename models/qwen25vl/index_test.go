package qwen25vl

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// reference is what transformers computes for one prompt.
type reference struct {
	Name        string     `json:"name"`
	InputIDs    []int32    `json:"input_ids"`
	Positions   [3][]int64 `json:"position_ids"`
	Grid        [][3]int64 `json:"grid"`
	WindowIndex []int64    `json:"window_index"`
	CuWindow    []int64    `json:"cu_window_seqlens"`
	RopeDelta   int64      `json:"rope_delta"`
}

func references(t *testing.T) []reference {
	t.Helper()
	b, err := os.ReadFile("testdata/indexes.json")
	if err != nil {
		t.Fatal(err)
	}
	var refs []reference
	if err := json.Unmarshal(b, &refs); err != nil {
		t.Fatal(err)
	}
	return refs
}

// TestIndexes compares window order and boundaries with transformers'. Pictures
// are encoded one by one here, so the reference's offsets are added.
func TestIndexes(t *testing.T) {
	for _, r := range references(t) {
		var window, cu []int64
		if len(r.Grid) > 0 {
			cu = []int64{0}
		}
		for _, g := range r.Grid {
			ix, err := NewIndexes(Geometry{Merge: 2, Window: 4}, Grid{g[0], g[1], g[2]})
			if err != nil {
				t.Fatal(err)
			}
			base, last := int64(len(window)), cu[len(cu)-1]
			for k, w := range ix.WindowIndex {
				window = append(window, base+w)
				if ix.ReverseIndex[w] != int64(k) {
					t.Errorf("%s: the reverse index does not undo the window index", r.Name)
				}
			}
			for _, c := range ix.CuWindow[1:] {
				cu = append(cu, last+c)
			}
			if n := int64(len(ix.Positions)); n != 2*g[0]*g[1]*g[2] || ix.CuSeqlens[len(ix.CuSeqlens)-1]*2 != n || int64(len(ix.CuSeqlens)) != g[0]+1 {
				t.Errorf("%s: %d positions and boundaries %v for grid %v", r.Name, n/2, ix.CuSeqlens, g)
			}
		}
		if !slices.Equal(window, r.WindowIndex) {
			t.Errorf("%s: window index %v, want %v", r.Name, window, r.WindowIndex)
		}
		if !slices.Equal(cu, slices.Compact(slices.Clone(r.CuWindow))) {
			t.Errorf("%s: window boundaries %v, want %v", r.Name, cu, r.CuWindow)
		}
	}
}

func TestIndexesRefuse(t *testing.T) {
	for _, g := range []Grid{{0, 4, 4}, {1, 0, 4}, {1, 4, 3}, {1, 3, 4}, {-1, 4, 4}} {
		if _, err := NewIndexes(Geometry{Merge: 2, Window: 4}, g); err == nil {
			t.Errorf("grid %v was accepted", g)
		}
	}
}

// TestPositions compares M-RoPE positions with transformers' get_rope_index.
func TestPositions(t *testing.T) {
	for _, r := range references(t) {
		image, video := int32(514), int32(515)
		if strings.HasPrefix(r.Name, "common/") {
			image, video = 646, 647
		}
		var spans []span
		for i, id := range r.InputIDs {
			inside := i > 0 && r.InputIDs[i-1] == id && (len(spans) > 0 && int64(i-spans[len(spans)-1].start) < spans[len(spans)-1].grid.Patches()/4)
			if id != image && id != video || inside {
				continue
			}
			g := r.Grid[len(spans)]
			s := span{start: i, grid: Grid{g[0], g[1], g[2]}}
			if id == video {
				s.second = 1 // two frames of a video of two frames a second
			}
			spans = append(spans, s)
		}
		pos, next, err := positions3(len(r.InputIDs), spans, 2, 2)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		for a := range pos {
			if !slices.Equal(pos[a], r.Positions[a]) {
				t.Errorf("%s: axis %d: %v, want %v", r.Name, a, pos[a], r.Positions[a])
			}
		}
		if want := int64(len(r.InputIDs)) + r.RopeDelta; next != want {
			t.Errorf("%s: the next position is %d, want %d", r.Name, next, want)
		}
	}
}

func TestPositionsRefuse(t *testing.T) {
	if _, _, err := positions3(5, []span{{start: 2, grid: Grid{1, 4, 4}}}, 2, 2); err == nil {
		t.Error("a picture of 4 tokens was placed in 3")
	}
	if _, _, err := positions3(20, []span{{start: 2, grid: Grid{1, 4, 4}}, {start: 3, grid: Grid{1, 4, 4}}}, 2, 2); err == nil {
		t.Error("pictures that overlap were accepted")
	}
}
