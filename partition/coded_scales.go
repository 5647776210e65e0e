package partition

import (
	"fmt"
	"io"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// widenScales puts constants in the place of scales of blocks that are stored in 8 bits,
// where no kernel reads them so: on all targets but the host, and where several nodes read
// the same ones. They are computed when they are written, or once when the plan is opened,
// and not in each run. It takes a float for each block.
func widenScales(g *graph.Graph) {
	uses := g.Uses()
	made := map[scalesID]*graph.Tensor{}
	changed := false
	for _, n := range g.Nodes {
		if n.Domain != op.Microsoft || n.Op != "MatMulNBits" && n.Op != "GatherBlockQuantized" {
			continue
		}
		c, ok := op.FindCodedScales(n.In(2))
		if !ok || n.Target == string(graph.Host) && c.InPlace(uses) {
			continue
		}
		v := n.Inputs[2]
		id := scalesID{c.Codes.Const.DataKey(), c.Factors.Const.DataKey(), c.Rounded}
		t := made[id]
		if t == nil {
			size, _ := v.Type.DType.Bytes(int64(c.Codes.Const.Len()))
			w := &wideScales{name: v.Name, codes: c.Codes.Const, factors: c.Factors.Const, dtype: v.Type.DType}
			t = &graph.Tensor{DType: v.Type.DType, Shape: c.Codes.Const.Shape, Later: &graph.Later{Size: size, Write: w.write}}
			made[id] = t
		}
		n.Inputs[2] = g.NewConst(v.Name, t)
		changed = true
	}
	if changed {
		g.RemoveDead()
	}
}

type scalesID struct {
	codes, factors any
	rounded        graph.DType
}

// wideScales are scales as floats.
type wideScales struct {
	name           string
	codes, factors *graph.Tensor // int8 [rows, blocks] and float32, one a row
	dtype          graph.DType
}

func (s *wideScales) write(w io.Writer) error {
	codes, err := s.codes.Contents()
	if err != nil {
		return fmt.Errorf("scales %q: %w", s.name, err)
	}
	factors, err := s.factors.Contents()
	if err != nil {
		return fmt.Errorf("scales %q: %w", s.name, err)
	}
	q, f := graph.ViewBytes[int8](codes), graph.ViewBytes[float32](factors)
	blocks := len(q) / max(1, len(f))
	row := make([]float32, blocks)
	out, err := graph.NewTensor(s.dtype, int64(blocks))
	if err != nil {
		return err
	}
	for r, by := range f {
		for b := range row {
			row[b] = float32(q[r*blocks+b]) * by
		}
		if err := out.SetFloat32s(row); err != nil {
			return err
		}
		if _, err := w.Write(out.Data); err != nil {
			return err
		}
	}
	return nil
}
