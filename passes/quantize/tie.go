package quantize

import (
	"context"
	"slices"

	"mnnconv/graph"
)

// tie finds sites of the same numbers and format, such as an embedding and a head
// that are tied: their codes are made and stored once. Whole matrices are compared
// where a few of their numbers agree, since the first row of one that is stored
// transposed already takes reading all of it. Errors are ctx's.
func tie(ctx context.Context, all []*site, loops Loops) error {
	alike := map[sample][]*site{}
	for _, s := range all {
		if s.format.bits() == 0 || s.format.Method == GPTQ || s.m.cols%s.format.Block != 0 {
			continue
		}
		key := sampleOf(s)
		for _, t := range alike[key] {
			equal, err := same(ctx, &t.m, &s.m, loops)
			if err != nil {
				return err
			}
			if equal {
				s.twin = t
				break
			}
		}
		if s.twin == nil {
			alike[key] = append(alike[key], s)
		}
	}
	return ctx.Err()
}

// sample is what twins have in common and other matrices hardly ever.
type sample struct {
	format     Format
	dtype      graph.DType
	rows, cols int
	numbers    [16][4]byte // as they are stored, along the diagonal
}

func sampleOf(s *site) sample {
	m := &s.m
	out := sample{format: s.format, dtype: m.t.DType, rows: m.rows, cols: m.cols}
	size := m.t.DType.Bits() / 8
	for i := range out.numbers {
		row, col := i*(m.rows-1)/(len(out.numbers)-1), i*(m.cols-1)/(len(out.numbers)-1)
		at := row*m.cols + col
		if m.transposed {
			at = col*m.rows + row
		}
		copy(out.numbers[i][:], m.t.Data[at*size:][:size])
	}
	return out
}

// same compares two matrices of one sample, and stops at the first rows that differ.
func same(ctx context.Context, a, b *matrix, loops Loops) (bool, error) {
	if a.transposed == b.transposed && &a.t.Data[0] == &b.t.Data[0] {
		return true, nil
	}
	const rows = 64
	in := reader{loops: loops}
	x, y := make([]float32, rows*a.cols), make([]float32, rows*a.cols)
	for r := 0; r < a.rows; r += rows {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n := min(rows, a.rows-r)
		in.load(a, x, a.cols, r, 0, n, a.cols)
		in.load(b, y, b.cols, r, 0, n, b.cols)
		if !slices.Equal(x[:n*a.cols], y[:n*a.cols]) {
			return false, nil
		}
	}
	return true, nil
}
