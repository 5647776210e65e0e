package onnx

import (
	"fmt"
	"io"

	"mnnconv/graph"
)

// Data writes weights to one external data file, which several models may
// share. A tensor over the same memory as one before is stored once.
type Data struct {
	name  string
	w     io.Writer
	align int64
	size  int64
	at    map[dataKey]graph.Range
}

type dataKey struct {
	first *byte
	size  int
	later *graph.Later
}

// NewData returns a writer of the data file that models name as name, a plain
// relative path beneath their folder. Each tensor starts at a multiple of align
// bytes of what is written to w; 0 takes 64.
func NewData(name string, w io.Writer, align int64) *Data {
	if align <= 0 {
		align = 64
	}
	return &Data{name: name, w: w, align: align, at: map[dataKey]graph.Range{}}
}

// Add writes the data of t, unless it is there already, and returns where it
// lies.
func (d *Data) Add(t *graph.Tensor) (graph.Range, error) {
	if t.Size() == 0 {
		return graph.Range{}, fmt.Errorf("a tensor without data cannot go to %s", quote(d.name))
	}
	key := dataKey{later: t.Later}
	if t.Later == nil {
		key = dataKey{first: &t.Data[0], size: len(t.Data)}
	}
	if r, ok := d.at[key]; ok {
		return r, nil
	}
	if rest := d.size % d.align; rest != 0 {
		if err := d.write(make([]byte, d.align-rest)); err != nil {
			return graph.Range{}, err
		}
	}
	r := graph.Range{File: d.name, Offset: d.size, Length: t.Size()}
	if err := d.data(t); err != nil {
		return graph.Range{}, err
	}
	if d.size != r.Offset+r.Length {
		return graph.Range{}, fmt.Errorf("a weight of %d bytes came to %d in %s", r.Length, d.size-r.Offset, quote(d.name))
	}
	d.at[key] = r
	return r, nil
}

func (d *Data) data(t *graph.Tensor) error {
	if t.Later == nil {
		return d.write(t.Data)
	}
	return t.Later.Write(counter{d})
}

// counter counts what is written to a data file.
type counter struct{ d *Data }

func (c counter) Write(b []byte) (int, error) {
	before := c.d.size
	err := c.d.write(b)
	return int(c.d.size - before), err
}

func (d *Data) write(b []byte) error {
	n, err := d.w.Write(b)
	d.size += int64(n)
	return err
}
