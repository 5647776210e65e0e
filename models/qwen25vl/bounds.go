package qwen25vl

import (
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/models"
)

// Bounds gives every symbol its largest value in sessions of these options, and
// their context in tokens.
func (m *Model) Bounds(o models.SessionOptions) (map[string]graph.Env, int, error) {
	capacity := m.capacity(o.Capacity)
	if most := m.Config.MaxPositions; most > 0 && capacity > most {
		return nil, 0, fmt.Errorf("%w: a context of %d tokens is asked for, the model was made for %d", ErrPrompt, capacity, most)
	}
	picture, rows := int64(capacity), int64(capacity)
	if o.Frames > 0 {
		groups := (int64(o.Frames) + int64(m.Pictures.TemporalPatch) - 1) / int64(m.Pictures.TemporalPatch)
		picture = min(picture, groups*m.mostRows())
	}
	if images := int64(o.Images); images > 0 && images <= rows/picture {
		rows = images * picture
	}
	bounds := m.bounds(int64(capacity), picture, rows)
	if env := bounds["extend"]; o.Slots > 1 && m.Batches() { // prompts run in chunks then
		lanes := o.LanesOf()
		env[batched], env["capacity"] = int64((o.Slots+lanes-1)/lanes), stateRows(capacity)
		for _, name := range []string{tokens, "rows"} {
			if env[name] > 0 {
				env[name] = min(env[name], maxChunk)
			}
		}
	}
	return bounds, capacity, nil
}

// mostRows is how many rows one picture becomes at most (see picture.SmartResize):
// as many as MaxPixels hold, or those of a picture whose sides differ by the
// largest ratio, 200, one row high; or, where MinPixels enlarge it, those with both
// sides rounded up.
func (m *Model) mostRows() int64 {
	side := float64(m.Pictures.PatchSize * m.Pictures.MergeSize)
	least, most := math.Sqrt(float64(m.Pictures.MinPixels))/side, math.Sqrt(float64(m.Pictures.MaxPixels))/side
	ratio := math.Sqrt(200)
	return int64(max(1, most*most, most*ratio, float64(least*least)+float64(least*(ratio+1/ratio))+1))
}

// bounds gives every symbol of the graphs its largest value in a context of
// capacity tokens, of which rows are those of pictures, at most picture of each: no
// grid has a longer side in patches, and no picture more windows or frames.
func (m *Model) bounds(capacity, picture, rows int64) map[string]graph.Env {
	all := map[string]graph.Env{}
	for _, ph := range m.Phases() {
		symbols := map[string]bool{}
		for _, v := range ph.Graph.Inputs {
			for _, d := range v.Type.Shape {
				d.Symbols(symbols)
			}
		}
		rows := rows
		if ph.Name == "encode" {
			rows = picture
		}
		env := graph.Env{}
		for name := range symbols {
			switch name {
			case "rows":
				env[name] = rows
			case tokens, "capacity":
				env[name] = capacity
			case "wanted", batched:
				env[name] = 1
			case "axis_positions.length":
				env[name] = rows * m.Config.Merge
			default: // boundaries: one more than there are segments
				env[name] = rows + 1
			}
		}
		all[ph.Name] = env
	}
	return all
}
