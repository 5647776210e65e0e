package qwen25vl

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Grid is the extent of one picture or video in patches: frames (pairs of
// frames), rows, columns.
type Grid struct{ T, H, W int64 }

// Patches returns the number of patches.
func (g Grid) Patches() int64 { return g.T * g.H * g.W }

// Geometry says how a vision tower walks its patches.
type Geometry struct {
	Merge  int64 // patches per side that become one token: 2
	Window int64 // tokens per side of an attention window: 112 / 14 / 2 = 4
}

// maxExtent bounds a grid's extents, so that their product fits an int64.
const maxExtent = 1 << 16

// check refuses grids that the merge does not divide.
func (m Geometry) check(g Grid) error {
	if max(g.T, g.H, g.W) > maxExtent {
		return fmt.Errorf("grid %d×%d×%d is larger than %d in an extent", g.T, g.H, g.W, maxExtent)
	}
	if g.T < 1 || g.H < m.Merge || g.W < m.Merge || g.H%m.Merge != 0 || g.W%m.Merge != 0 {
		return fmt.Errorf("grid %d×%d×%d is not made of blocks of %d×%d patches", g.T, g.H, g.W, m.Merge, m.Merge)
	}
	return nil
}

// Indexes is what the vision tower must know of a grid besides its pixels, as
// Hugging Face's Qwen2_5_VisionTransformer computes it (rot_pos_emb,
// get_window_index). n is the number of merged tokens, m² patches each.
type Indexes struct {
	Grid          Grid
	Positions     []int64 // [patches, 2]: row and column, in merge-block order
	WindowIndex   []int64 // [n]: which token comes k-th in window order
	ReverseIndex  []int64 // [n]: the inverse permutation
	CuSeqlens     []int64 // boundaries of full attention, one segment a frame, in patches
	CuWindow      []int64 // boundaries of window attention, in patches, without empty windows
	WindowedPlace []int64 // [patches, 2]: Positions in window order
}

// NewIndexes computes the indexes of a grid.
func NewIndexes(m Geometry, g Grid) (*Indexes, error) {
	if err := m.check(g); err != nil {
		return nil, err
	}
	ix := &Indexes{Grid: g}
	lh, lw := g.H/m.Merge, g.W/m.Merge
	for range g.T {
		for bi := range lh {
			for bj := range lw {
				for i := range m.Merge {
					for j := range m.Merge {
						ix.Positions = append(ix.Positions, bi*m.Merge+i, bj*m.Merge+j)
					}
				}
			}
		}
	}
	unit := m.Merge * m.Merge
	ix.CuSeqlens, ix.CuWindow = []int64{0}, []int64{0}
	for t := range g.T {
		ix.CuSeqlens = append(ix.CuSeqlens, (t+1)*g.H*g.W)
		for wi := int64(0); wi < lh; wi += m.Window {
			for wj := int64(0); wj < lw; wj += m.Window {
				count := int64(0)
				for i := wi; i < min(wi+m.Window, lh); i++ {
					for j := wj; j < min(wj+m.Window, lw); j++ {
						ix.WindowIndex = append(ix.WindowIndex, (t*lh+i)*lw+j)
						count++
					}
				}
				ix.CuWindow = append(ix.CuWindow, ix.CuWindow[len(ix.CuWindow)-1]+count*unit)
			}
		}
	}
	ix.ReverseIndex = make([]int64, len(ix.WindowIndex))
	ix.WindowedPlace = make([]int64, 0, len(ix.Positions))
	for k, w := range ix.WindowIndex {
		ix.ReverseIndex[w] = int64(k)
		ix.WindowedPlace = append(ix.WindowedPlace, ix.Positions[w*unit*2:(w+1)*unit*2]...)
	}
	return ix, nil
}

// mask returns the additive float mask [1, patches, patches] of segments.
func mask(cu []int64) []float32 {
	n := cu[len(cu)-1]
	m := make([]float32, n*n)
	for i := range m {
		m[i] = -3.4028234663852886e38
	}
	for s := range len(cu) - 1 {
		for i := cu[s]; i < cu[s+1]; i++ {
			for j := cu[s]; j < cu[s+1]; j++ {
				m[i*n+j] = 0
			}
		}
	}
	return m
}

// meaning is an index tensor that the runtime can build for any grid.
type meaning struct {
	name   string
	values func(*Indexes) []int64
}

// meanings lists what inputs and computed indexes of exports are compared with.
var meanings = []meaning{
	{"window_index", func(ix *Indexes) []int64 { return ix.WindowIndex }},
	{"reverse_window_index", func(ix *Indexes) []int64 { return ix.ReverseIndex }},
	{"cu_seqlens", func(ix *Indexes) []int64 { return ix.CuSeqlens }},
	{"cu_window_seqlens", func(ix *Indexes) []int64 { return ix.CuWindow }},
	{"patch_positions", func(ix *Indexes) []int64 { return ix.Positions }},
	{"windowed_patch_positions", func(ix *Indexes) []int64 { return ix.WindowedPlace }},
	{"axis_positions", func(ix *Indexes) []int64 { return counting(max(ix.Grid.H, ix.Grid.W)) }},
	{"patch_positions_by_axis", func(ix *Indexes) []int64 { return byAxis(ix.Positions) }},
}

// Named returns all indexes by the names that inputs of a package's encode phase
// have, for whoever runs it on another runtime.
func (ix *Indexes) Named() map[string][]int64 {
	out := map[string][]int64{}
	for _, m := range meanings {
		out[m.name] = m.values(ix)
	}
	return out
}

func counting(n int64) []int64 {
	v := make([]int64, n)
	for i := range v {
		v[i] = int64(i)
	}
	return v
}

// byAxis turns [patches, 2] into [2, patches].
func byAxis(pos []int64) []int64 {
	n := len(pos) / 2
	out := make([]int64, len(pos))
	for i := range n {
		out[i], out[n+i] = pos[2*i], pos[2*i+1]
	}
	return out
}

// tensor stores integers in the dtype and shape that an input declares.
func tensor(d graph.DType, shape []int64, v []int64) (*graph.Tensor, error) {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		return nil, err
	}
	if t.Len() != len(v) {
		return nil, fmt.Errorf("%d indexes for shape %v", len(v), shape)
	}
	switch d {
	case graph.Int64:
		copy(graph.View[int64](t), v)
	case graph.Int32:
		for i, x := range v {
			graph.View[int32](t)[i] = int32(x)
		}
	default:
		f := make([]float32, len(v))
		for i, x := range v {
			f[i] = float32(x)
		}
		return t, t.SetFloat32s(f)
	}
	return t, nil
}

// sameInts reports whether a tensor holds the given integers.
func sameInts(t *graph.Tensor, want []int64) bool {
	if t == nil || t.Kind != graph.TensorKind || t.Len() != len(want) || !t.DType.IsInt() {
		return false
	}
	have, err := t.Int64s()
	return err == nil && slices.Equal(have, want)
}
